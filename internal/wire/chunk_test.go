package wire

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

func subtasks() []job.Subtask {
	return []job.Subtask{
		{Payload: []byte{}},
		{Payload: []byte("a")},
		{Name: "level", Payload: []byte("b")},
		{Name: "level", Payload: []byte{}},
		{Name: "", Payload: []byte("c")},
		{Name: strings.Repeat("n", 200), Payload: bytes.Repeat([]byte("p"), 300)},
	}
}

func packed(t testing.TB, tasks ...job.Subtask) *ChunkWriter {
	t.Helper()
	var w ChunkWriter
	for _, s := range tasks {
		if err := w.Add(s.Name, s.Payload); err != nil {
			t.Fatal(err)
		}
	}
	return &w
}

func unpacked(n int, blob []byte) (got []job.Subtask, err error) {
	for s, err := range Subtasks(n, blob) {
		if err != nil {
			return got, err
		}
		got = append(got, s)
	}
	return got, nil
}

func TestSubtasksComeBackAsTheyWere(t *testing.T) {
	want := subtasks()
	w := packed(t, want...)
	got, err := unpacked(w.N, w.Bytes())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
	if got, err := unpacked(0, nil); err != nil || len(got) > 0 {
		t.Errorf("an empty chunk: got %q, %v", got, err)
	}
}

// The bytes are in journals on disks: who changes them makes another kind of
// entry.
func TestChunksKeepTheirBytes(t *testing.T) {
	got := hex.EncodeToString(packed(t, subtasks()[:5]...).Bytes())
	if want := "0000" + "000161" + "066c6576656c0162" + "0000" + "010163"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestChunkOfAnotherLengthIsAnError(t *testing.T) {
	w := packed(t, subtasks()...)
	for n := range w.Bytes() {
		if _, err := unpacked(w.N, w.Bytes()[:n]); err == nil {
			t.Errorf("%d of %d bytes were taken", n, len(w.Bytes()))
		}
	}
	for _, n := range []int{-1, 0, w.N - 1, w.N + 1, 1 << 30} {
		if _, err := unpacked(n, w.Bytes()); err == nil {
			t.Errorf("%d tasks were found where there are %d", n, w.N)
		}
	}
}

func TestChunkIsFullWhenItReachesEitherLimit(t *testing.T) {
	var many, large ChunkWriter
	for !many.Full() {
		if err := many.Add("", nil); err != nil {
			t.Fatal(err)
		}
	}
	if many.N != ChunkTasks {
		t.Errorf("full with %d tasks, want %d", many.N, ChunkTasks)
	}
	for !large.Full() {
		if err := large.Add("", make([]byte, ChunkBytes/4)); err != nil {
			t.Fatal(err)
		}
	}
	if large.N != 4 {
		t.Errorf("full with %d quarters", large.N)
	}
	before := large.Bytes()
	large.Reset()
	if large.N != 0 || large.Full() || len(large.Bytes()) > 0 {
		t.Error("Reset does not begin another chunk")
	}
	if _, err := unpacked(4, before); err != nil {
		t.Errorf("a chunk from before Reset: %v", err)
	}
}

func TestTaskThatNobodyCouldReadIsNotPacked(t *testing.T) {
	w := packed(t, job.Subtask{Name: "first"})
	before := string(w.Bytes())
	if err := w.Add(strings.Repeat("n", MaxName+1), nil); err == nil {
		t.Error("a name over the limit was packed")
	}
	if err := w.Add("", make([]byte, MaxPayload+1)); err == nil {
		t.Error("a payload over the limit was packed")
	}
	if w.N != 1 || string(w.Bytes()) != before {
		t.Errorf("what was refused left %d tasks in %q", w.N, w.Bytes())
	}
	largest := job.Subtask{Name: strings.Repeat("n", MaxName), Payload: make([]byte, MaxPayload)}
	w = packed(t, largest)
	if got, err := unpacked(1, w.Bytes()); err != nil || !reflect.DeepEqual(got[0], largest) {
		t.Errorf("the largest task: %v", err)
	}
}

func tasks() []job.Task {
	return []job.Task{
		{ID: job.TaskID{Kind: job.KindMap, N: 0}, Attempt: 1, Payload: []byte{}},
		{
			ID: job.TaskID{Kind: job.KindMap, N: 1 << 20}, Attempt: 300, Name: "level",
			Parent: job.TaskID{Kind: job.KindMap, N: 7}, Payload: []byte("payload"),
		},
		{ID: job.TaskID{Kind: job.KindReduce, N: 2}, Attempt: 2, Payload: []byte{0}},
	}
}

func laid(tasks []job.Task) (blob []byte) {
	for i := range tasks {
		blob = AppendTask(blob, &tasks[i])
	}
	return blob
}

func TestTasksComeBackAsTheyWere(t *testing.T) {
	want := tasks()
	got, err := Tasks(len(want), laid(want))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v, want %+v", got, err, want)
	}
}

// Nodes of different builds send them to each other.
func TestTasksKeepTheirBytes(t *testing.T) {
	got := hex.EncodeToString(laid(tasks()))
	want := "6d000100000000" + "6d808040ac026d07056c6576656c077061796c6f6164" + "7202020000000100"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTasksThatAreNotAllThereAreAnError(t *testing.T) {
	blob := laid(tasks())
	for n := range blob {
		if got, err := Tasks(len(tasks()), blob[:n]); err == nil || got != nil {
			t.Errorf("%d of %d bytes: got %v, %v", n, len(blob), got, err)
		}
	}
	for _, n := range []int{-1, 0, 2, 4, 1 << 30} {
		if _, err := Tasks(n, blob); err == nil {
			t.Errorf("%d tasks were found where there are %d", n, len(tasks()))
		}
	}
	long := tasks()[:1]
	long[0].Name = strings.Repeat("n", MaxName+1)
	if _, err := Tasks(1, laid(long)); err == nil {
		t.Error("a name over the limit was taken")
	}
	long[0].Name, long[0].Payload = "", make([]byte, MaxPayload+1)
	if _, err := Tasks(1, laid(long)); err == nil {
		t.Error("a payload over the limit was taken")
	}
	// A number that no task has, and that would be negative on small machines.
	if _, err := Tasks(1, []byte{'m', 0x80, 0x80, 0x80, 0x80, 0x08, 1, 0, 0, 0, 0}); err == nil {
		t.Error("task 2147483648 was taken")
	}
}

func FuzzSubtasks(f *testing.F) {
	w := packed(f, subtasks()...)
	f.Add(w.N, w.Bytes())
	f.Add(1<<30, []byte{0, 0})
	f.Add(1, []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0})
	f.Fuzz(func(t *testing.T, n int, blob []byte) {
		var got []job.Subtask
		var err error
		modest(t, len(blob), func() { got, err = unpacked(n, blob) })
		if err != nil {
			return
		}
		if len(got) != max(n, 0) {
			t.Fatalf("got %d tasks of %d", len(got), n)
		}
		w := packed(t, got...)
		if again, err := unpacked(w.N, w.Bytes()); err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("got %q, %v after %q", again, err, got)
		}
	})
}

func FuzzTasks(f *testing.F) {
	f.Add(len(tasks()), laid(tasks()))
	f.Add(1<<30, []byte("0123456789"))
	f.Fuzz(func(t *testing.T, n int, blob []byte) {
		var got []job.Task
		var err error
		modest(t, len(blob), func() { got, err = Tasks(n, blob) })
		if err != nil {
			return
		}
		if again, err := Tasks(len(got), laid(got)); err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("got %+v, %v after %+v", again, err, got)
		}
	})
}
