package telemetry

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"
	"time"
)

type id string

type counting struct{ calls *int }

func (c counting) String() string { *c.calls++; return "m12" }

func TestAttributesReadTheSameInTextAndJSON(t *testing.T) {
	calls := 0
	attrs := []any{
		Job(id("nightly")), Run(id("reports/nightly@x")), Epoch(3), Task(counting{&calls}), Attempt(counting{&calls}),
		State(counting{&calls}), Processor("wordcount"), Node("n1"), Member(id("n2")), Addr("127.0.0.1:7946"),
		Took(1500 * time.Millisecond), Err(errors.New("disk full")), Err(nil),
	}
	for _, c := range []struct {
		handler func(*bytes.Buffer, *slog.HandlerOptions) slog.Handler
		want    string
	}{
		{
			func(b *bytes.Buffer, o *slog.HandlerOptions) slog.Handler { return slog.NewTextHandler(b, o) },
			`level=INFO msg=m job=nightly run=reports/nightly@x epoch=3 task=m12 attempt=m12 state=m12 processor=wordcount` +
				` node=n1 member=n2 addr=127.0.0.1:7946 took=1.5s err="disk full"` + "\n",
		},
		{
			func(b *bytes.Buffer, o *slog.HandlerOptions) slog.Handler { return slog.NewJSONHandler(b, o) },
			`{"level":"INFO","msg":"m","job":"nightly","run":"reports/nightly@x","epoch":3,"task":"m12","attempt":"m12",` +
				`"state":"m12","processor":"wordcount","node":"n1","member":"n2","addr":"127.0.0.1:7946","took":1500000000,"err":"disk full"}` + "\n",
		},
	} {
		var b bytes.Buffer
		log := slog.New(c.handler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
		log.Info("m", attrs...)
		if got := b.String(); got != c.want {
			t.Errorf("got  %swant %s", got, c.want)
		}
	}
}

func TestALineThatNobodyReadsFormatsNothing(t *testing.T) {
	calls := 0
	slog.New(slog.DiscardHandler).Debug("m", Task(counting{&calls}), Attempt(counting{&calls}), State(counting{&calls}))
	if calls != 0 {
		t.Errorf("got %d calls of String, want none", calls)
	}
}
