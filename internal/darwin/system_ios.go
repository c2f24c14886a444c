//go:build ios

package darwin

const isIOS = true
