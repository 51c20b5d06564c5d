package node

import "sync"

// failure is the first of the errors that several come to.
type failure struct {
	once sync.Once
	err  error // to be read when all are done
}

func (f *failure) note(err error) {
	if err != nil {
		f.once.Do(func() { f.err = err })
	}
}
