package store_test

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/store/storetest"
)

// childDir makes the test binary a writer to be killed.
const childDir = "MUSTER_STORE_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

func openKV(dir string) (storetest.KV, error) {
	kv, err := store.Open(dir, store.Options{Reserve: -1})
	if err != nil {
		return nil, err
	}
	return kv, nil
}

func openLog(path string) (storetest.Log, error) {
	l, err := store.OpenLog(path, nil)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func TestKVKeepsTheContract(t *testing.T)  { storetest.TestKV(t, openKV) }
func TestLogKeepsTheContract(t *testing.T) { storetest.TestLog(t, openLog) }

func TestDamagedLogEntryIsNeverPassedOn(t *testing.T) {
	found := storetest.Damage(t, openLog, func(path string, chance *rand.Rand) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// Inside an entry, so that the file as such still opens.
		at := bytes.Index(b, []byte("entry 101.entry 101.")) + chance.IntN(20)
		b[at] ^= 1 << chance.IntN(8)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	if found == 0 {
		t.Fatal("the damage was not noticed")
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// child writes to a log and a KV in dir for as long as it lives, and tells
// what was acknowledged.
func child(dir string) {
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	l, err := store.OpenLog(filepath.Join(dir, "log"), nil)
	check(err)
	kv, err := store.Open(filepath.Join(dir, "kv"), store.Options{Reserve: -1})
	check(err)
	for i := max(l.Last(), 1); ; i++ {
		if i > l.Last() { // the last may be in the log, but not in the KV
			check(l.Append([]store.Entry{{Index: i, Data: crashText(i)}}))
		}
		if i%97 == 0 {
			check(l.DeleteRange(l.First(), i-50))
		}
		b, err := kv.Batch()
		check(err)
		for part := range uint64(3) {
			check(b.Put(fmt.Appendf(nil, "%d/%d", i, part), crashText(i+part)))
		}
		check(b.Commit())
		fmt.Println(i)
	}
}

func crashText(i uint64) []byte { return bytes.Repeat(fmt.Appendf(nil, "%d.", i), int(i%13)*300+1) }

func TestAcknowledgedWritesSurviveKill(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	var acked uint64
	rounds := 8
	if testing.Short() {
		rounds = 3
	}
	for round := range rounds {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for left := 1 + chance.IntN(300); lines.Scan(); left-- {
			if left == 0 {
				must(t, cmd.Process.Kill()) // what is in the pipe was acknowledged too
			}
			var n uint64
			if _, err := fmt.Sscan(lines.Text(), &n); err == nil {
				acked = max(acked, n) // a line that was cut short is a smaller number
			}
		}
		_ = cmd.Wait() // it was killed

		l, err := store.OpenLog(filepath.Join(dir, "log"), nil)
		must(t, err)
		if l.Last() < acked {
			t.Fatalf("round %d: the log ends with %d, %d was acknowledged", round, l.Last(), acked)
		}
		for i := l.First(); i <= l.Last(); i++ {
			got, err := l.Get(i)
			must(t, err)
			if !bytes.Equal(got, crashText(i)) {
				t.Fatalf("round %d: entry %d is not what was written", round, i)
			}
		}
		kv, err := store.Open(filepath.Join(dir, "kv"), store.Options{Reserve: -1})
		must(t, err)
		for i := uint64(1); i <= acked; i++ {
			for part := range uint64(3) {
				got, err := kv.Get(fmt.Appendf(nil, "%d/%d", i, part))
				must(t, err)
				if !bytes.Equal(got, crashText(i+part)) {
					t.Fatalf("round %d: record %d/%d is not what was written", round, i, part)
				}
			}
		}
		must(t, kv.Close())
		must(t, l.Close())
	}
}
