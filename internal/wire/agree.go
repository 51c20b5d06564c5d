package wire

// Agree records that every server understands the commands of a version. From
// then on no server that does not can be one: it could not carry out the log.
type Agree struct {
	Version int `msgpack:"v"`
}

func (*Agree) kind() byte                { return 'V' }
func (*Agree) blobs() [][]byte           { return nil }
func (*Agree) take(blobs [][]byte) error { return only(blobs) }
