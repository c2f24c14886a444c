//go:build darwin && !ios

package darwin

const isIOS = false
