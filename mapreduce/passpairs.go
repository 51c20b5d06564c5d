package mapreduce

import (
	"context"
	"iter"
)

// passPairs hands on every pair of groups as it is encoded.
func passPairs(ctx context.Context, groups iter.Seq2[[]byte, iter.Seq[[]byte]], out func(key, value []byte) error) error {
	var key []byte
	var err error
	pass := func(value []byte) bool { // made once, not for each key
		err = out(key, value)
		return err == nil
	}
	for k, values := range groups {
		key = append(key[:0], k...) // which is gone when its values are asked for
		if values(pass); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
