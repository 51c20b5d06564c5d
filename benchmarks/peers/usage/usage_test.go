package usage

import (
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestTimesAreReadWhateverTheNameIs(t *testing.T) {
	got, err := ticks([]byte("7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 10 20 300 4000 20 0 1 0 5 0 0"))
	if want := 43300 * time.Millisecond; err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := ticks([]byte("7 (a) S 1")); err == nil {
		t.Error("got no error of half a line, want one")
	}
}

// TestTreeCountsWhatRunsAndWhatHasEnded has a shell whose first child has
// ended and whose second one runs when it is looked at.
func TestTreeCountsWhatRunsAndWhatHasEnded(t *testing.T) {
	const spin = `i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done`
	c := exec.CommandContext(t.Context(), "sh", "-c", "sh -c '"+spin+"'; sh -c '"+spin+"; echo ready; read line || true'; true")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	got, err := Tree(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	all := c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	if slack := 10 * tick; got < all-slack || got > all+slack {
		t.Errorf("got %v, want about the %v that the shell and its children took in the end", got, all)
	}
	if _, err := Tree(c.Process.Pid); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v of a process that has ended, want that there is none", err)
	}
}

func TestThisProcessHasUsedSomething(t *testing.T) {
	if Own() <= 0 || Peak() <= 0 {
		t.Errorf("got %v and %d bytes, want some of both", Own(), Peak())
	}
}
