package wire

import (
	"fmt"

	"github.com/musterhq/muster/pkg/job"
)

// PutToken records a token and the hash of its secret. (Version 2)
type PutToken struct {
	ID   string `msgpack:"i"`
	Hash []byte `msgpack:"h"`
	// First has it refused if there was a first token already.
	First bool `msgpack:"f,omitempty"`
	// Record is the token as EncodeRecord wrote it.
	Record []byte `msgpack:"-"`
}

// RevokeToken removes a token. (Version 2)
type RevokeToken struct {
	ID string `msgpack:"i"`
}

// RecordAudit keeps the record of something that somebody asked for. (Version 2)
type RecordAudit struct {
	ID string `msgpack:"i"`
	At int64  `msgpack:"a"`
	// Record is the record as EncodeRecord wrote it.
	Record []byte `msgpack:"-"`
}

// ForgetAudit removes the records that were made at Ats and are called IDs.
// (Version 2)
type ForgetAudit struct {
	IDs []string `msgpack:"i"`
	Ats []int64  `msgpack:"a"`
}

func (*PutToken) kind() byte    { return 'G' }
func (*RevokeToken) kind() byte { return 'H' }
func (*RecordAudit) kind() byte { return 'A' }
func (*ForgetAudit) kind() byte { return 'F' }

func (c *PutToken) blobs() [][]byte    { return [][]byte{c.Record} }
func (*RevokeToken) blobs() [][]byte   { return nil }
func (c *RecordAudit) blobs() [][]byte { return [][]byte{c.Record} }
func (*ForgetAudit) blobs() [][]byte   { return nil }

func (c *PutToken) take(b [][]byte) error    { return only(b, &c.Record) }
func (*RevokeToken) take(b [][]byte) error   { return only(b) }
func (c *RecordAudit) take(b [][]byte) error { return only(b, &c.Record) }

func (c *ForgetAudit) take(b [][]byte) error {
	if len(c.IDs) != len(c.Ats) {
		return fmt.Errorf("wire: command to forget %d records of %d times", len(c.IDs), len(c.Ats))
	}
	return only(b)
}

// NewToken asks for a token to be recorded, with the hash of its secret. First
// has that refused if there was a first token already.
type NewToken struct {
	Token job.Token `msgpack:"t"`
	Hash  []byte    `msgpack:"h"`
	First bool      `msgpack:"f,omitempty"`
}

// Proof is what a token shows of itself to whoever knows it: its ID and the
// hash of its secret.
type Proof struct {
	ID   string `msgpack:"i"`
	Hash []byte `msgpack:"h"`
}

// TokenRef names a token.
type TokenRef struct {
	ID string `msgpack:"i"`
}
