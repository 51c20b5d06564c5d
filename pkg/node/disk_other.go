//go:build !unix

package node

// freeDisk is not known here. A job that asks for disk finds no worker on such
// a node, rather than one that may not have it.
func freeDisk(string) int64 { return 0 }

func diskOf(string) (free, size int64) { return 0, 0 }
