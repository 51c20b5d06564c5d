package worker

import (
	"context"
	"iter"

	"github.com/musterhq/muster/internal/shuffle"
	"github.com/musterhq/muster/pkg/job"
)

// pairs is what a worker needs of a shuffle.
type pairs interface {
	Writer(shuffle.WriterConfig) (pairWriter, error)
	Read(context.Context, shuffle.ReadConfig) (pairReader, error)
	Drop(job.RunID)
}

// pairWriter takes the pairs of a map attempt.
type pairWriter interface {
	Add(key, value []byte) error
	AddWords(keys [][16]byte, long [][]byte, words []uint64) error
	Commit() (shuffle.Stats, error)
	Abort()
}

// pairReader gives a reduce attempt the pairs of its partition.
type pairReader interface {
	Groups() iter.Seq2[[]byte, iter.Seq[[]byte]]
	Pairs() iter.Seq2[[]byte, []byte]
	Err() error
	Close()
}

// shuffled is pairs over the shuffle of the node.
type shuffled struct{ *shuffle.Shuffle }

func (s shuffled) Writer(cfg shuffle.WriterConfig) (pairWriter, error) {
	w, err := s.Shuffle.Writer(cfg)
	if err != nil {
		return nil, err // not w, which would be an interface that holds nil
	}
	return w, nil
}

func (s shuffled) Read(ctx context.Context, cfg shuffle.ReadConfig) (pairReader, error) {
	r, err := s.Shuffle.Read(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return r, nil
}
