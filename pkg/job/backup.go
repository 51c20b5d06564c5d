package job

import "time"

// Manifest says what is in a backup of a cluster.
type Manifest struct {
	// Cluster is the ID of the cluster that it was made of, and Index the last
	// entry of its log that is in it.
	Cluster string `json:"cluster"`
	Index   uint64 `json:"index"`
	Term    uint64 `json:"term"`
	// At is when it was made, by the clock of the node that made it.
	At time.Time `json:"at"`
	// Layout and Commands are the versions of what is in it and of what its
	// servers understood. A program that knows less can't restore it.
	Layout   int `json:"layout"`
	Commands int `json:"commands"`
	// SHA256 is that of the state in it. It is known once all was read.
	SHA256 string `json:"sha256,omitempty"`
}
