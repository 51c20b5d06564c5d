//go:build !linux

package main

import "io/fs"

// Elsewhere the doctor has no way to find out.

func fileSystem(string) string { return "" }

func openFiles() (n uint64, known bool) { return 0, false }

func readable(fs.FileMode) bool { return false }
