package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/musterhq/muster/internal/codec"
	"github.com/musterhq/muster/pkg/job"
)

func commands() []Command {
	return []Command{
		&CreateRun{Run: "a/b@1", Master: "m", Chunks: 2, Record: []byte("run"), Entries: [][]byte{[]byte("x"), {}}},
		&CreateRun{Run: "a/b@1", Record: []byte("run"), Entries: [][]byte{}},
		&StageEntry{Run: "a/b@1", Seq: 1 << 40, Entry: []byte("entry")},
		&DiscardStaged{Run: "a/b@1", Limit: 64},
		&AssignRun{Run: "a/b@1", Master: "m"},
		&AppendEntries{Run: "a/b@1", Epoch: 3, First: 7, Entries: [][]byte{[]byte("x"), []byte("y")}},
		&FinishRun{Run: "a/b@1", Epoch: 3, State: job.Failed, Reason: "why", At: -5, Progress: []byte("p")},
		&CancelRun{Run: "a/b@1", Reason: "why"},
		&PutJob{Namespace: "a", Name: "b", Record: []byte("spec")},
		&DeleteJob{Namespace: "a", Name: "b"},
		&FoundCluster{Cluster: "f00d"},
		&CreateRun{
			Run: "a/b@1#2", Namespace: "a", Job: "b", Priority: -3, Created: 5, NotBefore: 6, Key: "k", KeyFor: 7,
			Epoch: 8, Of: "a/b@1", Attempt: 2, MaxQueued: 9, MaxQueuedAll: 10, Record: []byte("run"), Entries: [][]byte{},
		},
		&StageEntry{Run: "a/b@1", At: 5, Entry: []byte{}},
		&DiscardStaged{Run: "a/b@1", Limit: 64, Before: 5},
		&AssignRun{Run: "a/b@1", Master: "m", After: 3, At: 5, Why: "why"},
		&CancelRun{Run: "a/b@1", Reason: "why", At: 5},
		&AdmitRun{Run: "a/b@1"},
		&KillRun{Run: "a/b@1", Reason: "why", At: 5},
		&NoteRun{Run: "a/b@1", Epoch: 3, Text: "what", At: 5},
		&RewriteEntries{Run: "a/b@1", Seqs: []uint64{1, 7}, Entries: [][]byte{[]byte("x"), {}}},
		&CompactedRun{Run: "a/b@1"},
		&ForgetRun{Run: "a/b@1", At: 5},
		&FreeKey{Namespace: "a", Job: "b", Key: "k", At: 5},
		&PauseJob{Namespace: "a", Name: "b", Reason: "why", At: 5},
		&ResumeJob{Namespace: "a", Name: "b"},
		&PutJob{
			Namespace: "a", Name: "b", At: 5, Wake: 6, Expect: 7, Overlap: "allow", Limit: 8, Again: true,
			Record: []byte("spec"), Chunks: [][]byte{[]byte("in")},
		},
		&FireJob{
			Namespace: "a", Name: "b", Revision: 3, Seq: 4, Cursor: 5, Wake: 6, Ended: true, At: 7,
			Runs: []*CreateRun{{Run: "a/b@1", Fired: true, Due: 5, Record: []byte("run"), Entries: [][]byte{}}},
		},
		&CreateRun{Run: "a/b@1", Overlap: 3, Record: []byte("run"), Entries: [][]byte{}},
		&CreateRun{Run: "a/b@1", Line: "0f", Record: []byte("run"), Entries: [][]byte{}},
		&KeepRates{Windows: []RateWindow{{Of: "1/1s a/b/", Window: []byte{7}}, {Of: "x"}}},
		&PutNamespace{Name: "a", Record: []byte("limits")},
		&FinishRun{Run: "a/b@1", Epoch: 3, State: job.Succeeded, First: 1, Plain: true, Progress: []byte("p"), Last: []byte("x")},
		&FinishRun{Run: "a/b@1", Epoch: 3, State: job.Succeeded, Progress: []byte("p"), Last: []byte{}},
		&PutToken{ID: "t", Hash: []byte{7}, First: true, Record: []byte("token")},
		&RevokeToken{ID: "t"},
		&RecordAudit{ID: "r", At: 5, Record: []byte("who")},
		&ForgetAudit{IDs: []string{"r"}, Ats: []int64{5}},
		&CreateRun{Run: "a/b@1", Tags: []string{"s", "t"}, Record: []byte("run"), Entries: [][]byte{}},
		&CreateRun{Run: "a/b@1", Keeps: true, KeepFor: 5, KeepRuns: -1, Record: []byte("run"), Entries: [][]byte{}},
		&ForgetRun{Run: "a/b@1", At: 5, Limit: 64},
		&BeginOperation{Namespace: "a", ID: "o", At: 5, Once: "k", Record: []byte("what"), Selection: []byte("names")},
		&BeginOperation{Namespace: "a", ID: "o", Record: []byte("what")},
		&AdvanceOperation{
			Namespace: "a", ID: "o", Step: 1, Reached: "a/b@1", Pass: 1, Done: 2, Refused: 1, Refusals: []job.Refusal{{Name: "a/b@1", Why: "why"}},
			State: job.OperationFailed, Reason: "why", At: 5,
		},
		&CancelOperation{Namespace: "a", ID: "o", Reason: "why", At: 5},
		&ForgetOperations{Namespace: "a", IDs: []string{"o"}},
		&CreateLot{
			Lot: "a/b@1", Runs: 2, Master: "m", Called: "one", Namespace: "a", Job: "b", Priority: 1, Created: 5, Line: "0f", KeepFor: 6, KeepRuns: -1,
			Tags: []string{"t"}, Record: []byte("run"), Params: []byte("p"), Entries: [][]byte{[]byte("x")},
		},
		&EndInLot{Lot: "a/b@1", Epoch: 1, At: 5, First: 1, Progress: []byte("p"), Last: []byte("x")},
		&ForgetInLot{Lot: "a/b@1", Runs: []uint64{0, 7}},
		&CreateRun{Run: "a/b@1", Fired: true, Ahead: 5, Record: []byte("run"), Entries: [][]byte{}},
		&BeginAhead{At: 5},
	}
}

func encoded(t testing.TB, cs ...Command) []byte {
	t.Helper()
	var b []byte
	for _, c := range cs {
		one, err := EncodeCommand(c)
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, one...)
	}
	return b
}

func decoded(entry []byte) (got []Command, err error) {
	for c, err := range Commands(entry) {
		if err != nil {
			return got, err
		}
		got = append(got, c)
	}
	return got, nil
}

func TestCommandsComeBackAsTheyWere(t *testing.T) {
	want := commands()
	got, err := decoded(encoded(t, want...))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

// The bytes are in logs on disks: who changes them makes another version.
func TestCommandsKeepTheirBytes(t *testing.T) {
	want := []string{
		"0000001b01631083a172a5612f624031a16da16da16302030372756e017800",
		"0000001101630981a172a5612f624031010372756e",
		"0000001e01731482a172a5612f624031a171cf00000100000000000105656e747279",
		"0000001001640c82a172a5612f624031a16c4000",
		"0000001101610d82a172a5612f624031a16da16d00",
		"00000017016a0f83a172a5612f624031a16503a166070201780179",
		"0000001e01661885a172a5612f624031a16503a17303a177a3776879a161fb010170",
		"0000001301780f82a172a5612f624031a177a377687900",
		"0000001201700982a16ea161a16aa162010473706563",
		"0000000d01440982a16ea161a16aa16200",
		"0000000c01690881a163a46630306400",
		"0000004301633b8da172a7612f6240312332a16ea161a16aa162a170fda17405a16206a16ba16ba26b6607a16508a26f66a5612f624031a2617402a17109a271610a010372756e",
		"0000001401730f83a172a5612f624031a17100a161050100",
		"0000001301640f83a172a5612f624031a16c40a1620500",
		"0000001d01611985a172a5612f624031a16da16da16503a16105a177a377687900",
		"0000001601781283a172a5612f624031a177a3776879a1610500",
		"0000000d01770981a172a5612f62403100",
		"00000016016b1283a172a5612f624031a177a3776879a1610500",
		"0000001a016e1684a172a5612f624031a16503a177a477686174a1610500",
		"0000001501720e82a172a5612f624031a17192010702017800",
		"0000000d01430981a172a5612f62403100",
		"0000001001670c82a172a5612f624031a1610500",
		"00000014014b1084a16ea161a16aa162a16ba16ba1610500",
		"0000001601501284a16ea161a16aa162a177a3776879a1610500",
		"0000000d01520982a16ea161a16aa16200",
		"0000002d01702188a16ea161a16aa162a16105a17706a16507a16fa5616c6c6f77a26f6c08a167c302047370656302696e",
		"0000003d01541b88a16ea161a16aa162a17203a17104a16305a17706a165c3a16107011d0000001901631183a172a5612f624031a26669c3a2647505010372756e",
		"0000001502630d82a172a5612f624031a26f7603010372756e",
		"0000001702630f82a172a5612f624031a26c6ea23066010372756e", "0000001f026c1b81a1779282a16fa9312f317320612f622fa162c4010781a16fa17800", "0000001002530581a16ea16101066c696d697473",
		"0000002102661986a172a5612f624031a16503a17302a16100a16e01a2706cc30201700178",
		"0000001902661284a172a5612f624031a16503a17302a1610002017000",
		"0000001702470d83a169a174a168c40107a166c30105746f6b656e", "0000000902480581a169a17400",
		"0000001002410882a169a172a16105010377686f", "0000000e02460a82a16991a172a161910500",
		"0000001902631182a172a5612f624031a2746792a173a174010372756e",
		"0000001d02631584a172a5612f624031a2726bc3a2726605a2726eff010372756e",
		"0000001302670f83a172a5612f624031a16105a16c4000",
		"0000001f024f1084a16ea161a169a16fa16105a16ba16b020477686174056e616d6573",
		"00000015024f0c83a16ea161a169a16fa16100010477686174",
		"00000045026f418ba16ea161a169a16fa17301a163a5612f624031a17001a16402a17201a1779182a16ea5612f624031a177a3776879a165a66661696c6564a179a3776879a1610500",
		"0000001602711284a16ea161a169a16fa177a3776879a1610500",
		"0000000e02510a82a16ea161a16991a16f00",
		"0000004602423a8ca172a5612f624031a16e02a16da16da26d6ea36f6e65a26e73a161a16aa162a17001a17405a26c6ea23066a2726606a2726effa2746791a174030372756e01700178",
		"0000001a02551284a172a5612f624031a16501a16105a166010201700178",
		"0000001202620e82a172a5612f624031a16e92000700",
		"0000001902631183a172a5612f624031a26669c3a2616805010372756e",
		"0000000802490481a1610500",
	}
	if got := len(commands()); got != len(want) {
		t.Fatalf("%d commands are pinned, there are %d", len(want), got)
	}
	for i, c := range commands() {
		if got := hex.EncodeToString(encoded(t, c)); got != want[i] {
			t.Errorf("%T: got %s, want %s", c, got, want[i])
		}
	}
}

func TestUnknownCommandIsToldFromDamage(t *testing.T) {
	for _, at := range []int{4, 5} { // version, kind
		b := encoded(t, &CancelRun{Run: "a/b@1"})
		b[at] = 0xee
		if _, err := decoded(b); !errors.Is(err, ErrUnknownCommand) {
			t.Errorf("got %v, want %v", err, ErrUnknownCommand)
		}
	}
	b := encoded(t, &CancelRun{Run: "a/b@1", Reason: "why"})
	for n := 1; n < len(b); n++ {
		if _, err := decoded(b[:n]); err == nil || errors.Is(err, ErrUnknownCommand) {
			t.Errorf("%d of %d bytes: got %v", n, len(b), err)
		}
	}
}

// Whoever adds a field that older servers may skip relies on it that they do.
func TestFieldThatIsNotKnownIsSkipped(t *testing.T) {
	head, err := codec.Marshal(struct {
		Run    job.RunID      `msgpack:"r"`
		Reason string         `msgpack:"w"`
		Later  map[string]int `msgpack:"zz"`
	}{"a/b@1", "why", map[string]int{"x": 1}})
	if err != nil {
		t.Fatal(err)
	}
	b := appendBytes([]byte{1, 'x'}, head)
	b = append(b, 0) // no blobs
	got, err := decoded(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
	if want := []Command{&CancelRun{Run: "a/b@1", Reason: "why"}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestCommandsAreOfAVersionThatThisProgramKnows(t *testing.T) {
	for _, c := range commands() {
		if v := VersionOf(c); v < 1 || v > MaxCommandVersion || encoded(t, c)[4] != v {
			t.Errorf("%T is of version %d and says %d", c, v, encoded(t, c)[4])
		}
	}
}

func TestCommandOverTheLimitIsRefused(t *testing.T) {
	for name, c := range map[string]Command{
		"bytes": &StageEntry{Entry: make([]byte, MaxCommand)},
		"head":  &CancelRun{Reason: strings.Repeat("r", maxHead)},
		"blobs": &AppendEntries{Entries: make([][]byte, MaxBlobs+1)},
	} {
		if _, err := EncodeCommand(c); err == nil {
			t.Errorf("%s: it was encoded", name)
		}
	}
	if _, err := decoded([]byte{0xff, 0xff, 0xff, 0xff, 1, 'j'}); err == nil {
		t.Error("a command of 4 GiB was taken")
	}
	// Few bytes that claim many blobs.
	if _, err := decoded([]byte{0, 0, 0, 8, 1, 'j', 1, 0x80, 0xff, 0xff, 0xff, 0x0f}); err == nil {
		t.Error("more blobs than bytes were taken")
	}
}

func FuzzCommands(f *testing.F) {
	for _, c := range commands() {
		f.Add(encoded(f, c))
	}
	f.Add(encoded(f, commands()...))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decoded(b)
		if err != nil {
			return
		}
		if n := Length(b); n != len(got) {
			t.Fatalf("got length %d of %d commands", n, len(got))
		}
		// What was understood is what it is written as.
		again, err := decoded(encoded(t, got...))
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("got %+v, %v after %+v", again, err, got)
		}
		size := 0
		for _, c := range got {
			for _, blob := range c.blobs() {
				size += len(blob)
			}
		}
		if size > len(b) {
			t.Fatalf("%d bytes of blobs from %d", size, len(b))
		}
	})
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	want := RunStatus{Master: "m", Epoch: 2, State: job.Running, Reason: "r", Cancel: "c", Next: 9, Staged: true, Finished: -1, Progress: []byte("p")}
	b, err := EncodeRecord(&want)
	if err != nil {
		t.Fatal(err)
	}
	var got RunStatus
	if err := DecodeRecord(b, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if err := DecodeRecord(bytes.Repeat([]byte{0xdd}, 5), &got); err == nil {
		t.Fatal("garbage was taken")
	}
}

// A command in the log is for ever, and one that can't be read stops all who
// meet it.
func TestAFireWithARunThatDoesNotFitIsNotWritten(t *testing.T) {
	for name, run := range map[string]*CreateRun{
		"bytes": {Record: make([]byte, MaxCommand)},
		"head":  {Key: strings.Repeat("k", maxHead)},
		"blobs": {Entries: make([][]byte, MaxBlobs)},
	} {
		if _, err := EncodeCommand(&FireJob{Runs: []*CreateRun{{Run: "a/b@1"}, run}}); err == nil {
			t.Errorf("%s: it was encoded", name)
		}
	}
}
