//go:build !linux && !windows && !darwin

package main

func (f *serveFlags) serveClients(string) error { return notServed("crash clients") }
