//go:build !linux && !windows

package main

func (f *serveFlags) serveClients(string) error { return notServed("crash clients") }
