package ledger

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An Execution is one attempt, as the process that made it noted it.
type Execution struct {
	Node, Run, Task string
	Attempt         int
	// Began and Ended are wall clock times of the one machine. Ended is zero
	// if the process was gone before the attempt was over.
	Began, Ended time.Time
	// Err is what the attempt failed with, or empty.
	Err string
}

// Done reports whether the attempt came to a good end.
func (e *Execution) Done() bool { return !e.Ended.IsZero() && e.Err == "" }

// Read returns all executions that the files in dir hold, in the order in
// which they began.
func Read(dir string) ([]Execution, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+extension))
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	var all []Execution
	for _, p := range paths {
		f, err := os.Open(p)
		if err != nil {
			return nil, fmt.Errorf("ledger: %w", err)
		}
		all, err = readFile(all, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("ledger: %s: %w", p, err)
		}
	}
	slices.SortStableFunc(all, func(a, b Execution) int { return a.Began.Compare(b.Began) })
	return all, nil
}

// readFile appends what is in r to all. A last line that was cut off by the
// end of its process is no line.
func readFile(all []Execution, r io.Reader) ([]Execution, error) {
	at := map[string]int{} // the open executions, by number
	words := map[string]string{}
	in := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 7)
		switch {
		case f[0] == string(began) && len(f) == 6+1:
			var e Execution
			e.Began, err = instant(f[2])
			attempt, bad := strconv.Atoi(f[6])
			err = cmp.Or(err, bad)
			// Runs and nodes come again and again: keep one copy of each.
			e.Node, e.Run, e.Task, e.Attempt = intern(words, f[3]), intern(words, f[4]), strings.Clone(f[5]), attempt
			at[strings.Clone(f[1])] = len(all)
			all = append(all, e)
		case f[0] == string(ended) && len(f) >= 3:
			i, ok := at[f[1]]
			if !ok {
				err = fmt.Errorf("the end of %s without a beginning", f[1])
				break
			}
			delete(at, f[1])
			all[i].Ended, err = instant(f[2])
			if len(f) > 3 {
				all[i].Err, err = strconv.Unquote(strings.Join(f[3:], " "))
			}
		default:
			err = errors.New("want the beginning or the end of an attempt")
		}
		if err != nil {
			return all, fmt.Errorf("line %d: %q: %w", n, line, err)
		}
	}
}

func instant(nanos string) (time.Time, error) {
	n, err := strconv.ParseInt(nanos, 10, 64)
	return time.Unix(0, n), err
}

func intern(words map[string]string, s string) string {
	if w, ok := words[s]; ok {
		return w
	}
	s = strings.Clone(s)
	words[s] = s
	return s
}
