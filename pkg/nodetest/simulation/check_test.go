package simulation_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/nodetest/simulation"
	"github.com/musterhq/muster/trigger"
)

// good is a story in which every promise was kept: a run that was submitted
// twice, one that was cancelled, one that was stopped, one that failed and was
// tried again, one that waited for its job, and two fires.
func good() *simulation.Story {
	at := func(second int) time.Time { return time.Date(2000, 1, 1, 0, 0, second, 0, time.UTC) }
	run := func(id, key string, state job.State, tasks int) job.Run {
		return job.Run{
			ID: job.RunID("default/" + id), Key: key, State: state, Epoch: 2, Finished: at(9),
			Progress: job.Progress{Tasks: tasks, Done: tasks, Members: map[string]int{"a": 1, "b": tasks - 1}},
			History:  []job.Happening{{At: at(1), What: "accepted"}, {At: at(2), What: "has another master"}},
		}
	}
	work := func(key string) simulation.Work {
		return simulation.Work{Job: "j", Key: key, Want: "6", Tasks: 3, Executed: 2}
	}
	doomed := work("doomed")
	doomed.Doomed = true
	waits := work("waits")
	waits.Job = "paused"
	s := &simulation.Story{
		Submits: []simulation.Submit{
			{Work: work("twice"), Asked: 1, Told: 2, Nothing: true},
			{Work: work("twice"), Asked: 3, Told: 4, ID: "default/j@1"},
			{Work: work("twice"), Asked: 5, Told: 6, ID: "default/j@1"},
			{Work: work("cancelled"), Asked: 7, Told: 8, ID: "default/j@2"},
			{Work: work("stopped"), Asked: 9, Told: 10, ID: "default/j@3"},
			{Work: doomed, Asked: 11, Told: 12, ID: "default/j@4"},
			{Work: work("refused"), Asked: 13, Told: 14, Nothing: true},
			{Work: waits, Asked: 52, Told: 53, ID: "default/j@5"},
		},
		Asks: []simulation.Ask{
			{Kind: simulation.Cancel, Run: "default/j@2", Asked: 20, Told: 21, Done: true},
			{Kind: simulation.Stop, Run: "default/j@3", Asked: 22, Told: 23, Done: true},
			{Kind: simulation.Retry, Run: "default/j@4", Asked: 24, Told: 25, Done: true, Made: "default/j@4#2"},
		},
		Pauses: []simulation.Pause{{Job: "paused", From: 51, To: 60}},
		Ends: map[job.RunID]simulation.End{
			"default/j@1": {State: job.Succeeded, Value: "6"}, "default/j@4#2": {State: job.Succeeded, Value: "6"},
			"default/j@5": {State: job.Succeeded, Value: "6"},
		},
		Executed: map[string]map[string]int{},
		Attempts: []simulation.Attempt{{Node: "n1", Name: "m0#1", Began: at(1), Ended: at(20)}},
		Cuts:     []simulation.Cut{{Node: "n2", From: at(2), To: at(30)}, {Node: "n1", From: at(0), To: at(30)}},
		Rested: []job.Run{
			run("j@1", "twice", job.Succeeded, 3), run("j@2", "cancelled", job.Canceled, 1), run("j@3", "stopped", job.Canceled, 1),
			run("j@4", "doomed", job.Failed, 3), run("j@4#2", "", job.Succeeded, 3), run("j@5", "waits", job.Succeeded, 3),
		},
		Copies:  map[string]map[string]string{"n0": {"k": "v", "l": "w"}, "n1": {"k": "v", "l": "w"}},
		Leaders: 1,
	}
	for _, key := range []string{"twice", "doomed", "waits"} {
		s.Executed[key] = map[string]int{"m0": 1, "m1": 2}
	}
	s.Rested[4].Of = "default/j@4"
	s.Jobs = []job.Declared{{
		Spec:  job.Spec{Namespace: "default", Name: "tick", Schedule: trigger.Schedule{When: "every 3s"}},
		Saved: at(1), Fires: job.Fires{Cursor: at(10), Runs: 2, Skipped: map[string]int{"misfire": 1}},
	}}
	for _, second := range []int{3, 9} {
		r := run("", "", job.Succeeded, 1)
		r.ID, r.Fire, r.Origin, r.Spec.Name = job.FireID("default", "tick", at(second)), at(second), "fire", "tick"
		s.Rested = append(s.Rested, r)
	}
	s.Events = []simulation.Event{{ID: "e1", Done: true}, {ID: "e1"}, {ID: "e2"}}
	s.Jobs = append(s.Jobs,
		job.Declared{Spec: job.Spec{Namespace: "default", Name: "hear", Schedule: trigger.Schedule{When: "event e"}}, Fires: job.Fires{Runs: 1}},
		job.Declared{Spec: job.Spec{Namespace: "default", Name: "after", Schedule: trigger.Schedule{When: "upstream tick on done"}}, Fires: job.Fires{Runs: 2}},
	)
	for i, extra := range []map[string]string{
		{"event.id": "e1"}, {"upstream.tick": string(s.Rested[6].ID)}, {"upstream.tick": string(s.Rested[7].ID)},
	} {
		r := run(fmt.Sprint("h@", i), "", job.Succeeded, 1)
		r.Origin, r.Extra, r.Spec.Name = "event", extra, "hear"
		if i > 0 {
			r.Spec.Name = "after"
		}
		s.Rested = append(s.Rested, r)
	}
	early := run("j@1", "twice", job.Running, 3)
	early.Epoch, early.History, early.Finished = 1, early.History[:1], time.Time{}
	pending := run("j@5", "waits", job.Pending, 3)
	pending.Epoch, pending.History, pending.Finished = 0, nil, time.Time{}
	ending := run("j@2", "cancelled", job.Running, 1)
	ending.Finished = time.Time{}
	s.Sights = []simulation.Sight{
		{Asked: 5, Told: 6, Run: early},
		{Asked: 6, Told: 9, Run: s.Rested[0]},
		{Asked: 7, Told: 9, Run: early},
		{Asked: 10, Told: 11, Run: s.Rested[0]},
		{Asked: 26, Told: 27, Run: ending},
		{Asked: 28, Told: 29, Run: s.Rested[2]},
		{Asked: 54, Told: 55, Run: pending},
	}
	s.Risen = slices.Clone(s.Rested)
	return s
}

func TestAGoodStoryIsBelieved(t *testing.T) {
	for _, complaint := range simulation.Check(good()) {
		t.Error(complaint)
	}
}

// TestEveryBrokenPromiseIsNoticed breaks one promise of a good story after the
// other.
func TestEveryBrokenPromiseIsNoticed(t *testing.T) {
	for name, c := range map[string]struct {
		mutate func(s *simulation.Story)
		say    string
	}{
		"an accepted run is lost":       {func(s *simulation.Story) { s.Rested = s.Rested[1:] }, "was accepted and is not there"},
		"a key has two runs":            {func(s *simulation.Story) { s.Rested[1].Key = "twice" }, `key "twice" has 2 runs`},
		"a second submit got another":   {func(s *simulation.Story) { s.Submits[2].ID = "default/j@2" }, `under key "twice", which is run`},
		"a refused run is there":        {func(s *simulation.Story) { s.Rested[1].Key = "refused" }, "told that nothing was recorded"},
		"a run that nobody asked for":   {func(s *simulation.Story) { s.Rested[1].Key = "ghost" }, "nobody asked for run"},
		"a retry of nothing":            {func(s *simulation.Story) { s.Rested[4].Of = "default/j@9" }, "which is not there"},
		"a run does not end":            {func(s *simulation.Story) { s.Rested[0].State = job.Running }, "is running when everything has come to rest"},
		"a run fails":                   {func(s *simulation.Story) { s.Rested[0].State = job.Failed }, "is failed, want succeeded"},
		"a doomed run succeeds":         {func(s *simulation.Story) { s.Rested[3].State = job.Succeeded }, "is succeeded, want failed"},
		"a run is cancelled by itself":  {func(s *simulation.Story) { s.Rested[0].State = job.Canceled }, "is canceled, want succeeded"},
		"a fired run fails":             {func(s *simulation.Story) { s.Rested[6].State = job.Failed }, "is failed, want succeeded"},
		"a cancel is forgotten":         {func(s *simulation.Story) { s.Rested[0].CancelReason = "enough" }, "asked to end early before"},
		"a task is counted twice":       {func(s *simulation.Story) { s.Rested[0].Progress.Done++ }, "3 tasks, of which 4 are done"},
		"a task is missing":             {func(s *simulation.Story) { s.Rested[0].Progress.Tasks = 2 }, "counts 2 tasks"},
		"a task failed":                 {func(s *simulation.Story) { s.Rested[0].Progress.Failed = 1 }, "1 failed"},
		"a task is still running":       {func(s *simulation.Story) { s.Rested[0].Progress.Running = 1 }, "1 running"},
		"a member did too much":         {func(s *simulation.Story) { s.Rested[0].Progress.Members = map[string]int{"a": 4} }, "its members did 4"},
		"a task was never executed":     {func(s *simulation.Story) { delete(s.Executed["twice"], "m1") }, "1 tasks that were executed"},
		"nobody heard of the end":       {func(s *simulation.Story) { delete(s.Ends, "default/j@1") }, "nobody who waited"},
		"a result can't be read":        {func(s *simulation.Story) { s.Ends["default/j@1"] = simulation.End{Err: "gone"} }, "can't be read: gone"},
		"a wrong end is told":           {func(s *simulation.Story) { s.Ends["default/j@1"] = simulation.End{State: job.Failed} }, "was told to be failed"},
		"a result is wrong":             {func(s *simulation.Story) { s.Ends["default/j@1"] = simulation.End{State: job.Succeeded, Value: "7"} }, `returned "7"`},
		"a stop is no stop":             {func(s *simulation.Story) { s.Sights[5].Run.State = job.Running }, "is running after it was stopped"},
		"a cancel is ignored":           {func(s *simulation.Story) { s.Rested[1].State = job.Succeeded }, "and ended as succeeded"},
		"a retry is lost":               {func(s *simulation.Story) { s.Asks[2].Made = "default/j@9" }, "was made to try"},
		"a run that was seen is lost":   {func(s *simulation.Story) { s.Sights[0].Run.ID = "default/j@9" }, "was seen and is not there"},
		"an epoch falls":                {func(s *simulation.Story) { s.Sights[0].Run.Epoch = 3 }, "in epoch 2 after 3"},
		"a run goes back":               {func(s *simulation.Story) { s.Sights[3].Run.State = job.Pending }, "was pending after"},
		"the end changes":               {func(s *simulation.Story) { s.Sights[1].Run.State = job.Failed }, "was succeeded after failed"},
		"the record of the end changes": {func(s *simulation.Story) { s.Sights[1].Run.Reason = "other" }, "was over and changed: Reason"},
		"the reason to end changes": {func(s *simulation.Story) {
			s.Sights[4].Run.CancelReason, s.Rested[1].CancelReason = "one", "two"
		}, `because of "one", then because of "two"`},
		"a history is rewritten":          {func(s *simulation.Story) { s.Sights[0].Run.History[0].What = "dreamt of" }, "was rewritten"},
		"a paused job begins":             {func(s *simulation.Story) { s.Sights[6].Run.Epoch = 1 }, "although its job was paused"},
		"a node that is cut off works on": {func(s *simulation.Story) { s.Cuts[0].Node = "n1" }, "m0#1 was executed on node n1 18s after"},
		"a fire is lost":                  {func(s *simulation.Story) { s.Rested = slices.Delete(s.Rested, 7, 8) }, "3 fires, which are 1 runs and 1 skipped"},
		"an event is lost":                {func(s *simulation.Story) { s.Rested = slices.Delete(s.Rested, 8, 9) }, `hear made 0 runs of event.id "e1"`},
		"an event makes two runs":         {func(s *simulation.Story) { s.Rested[9].Spec.Name, s.Rested[9].Extra = "hear", s.Rested[8].Extra }, `hear made 2 runs of event.id "e1"`},
		"an event that nobody sent":       {func(s *simulation.Story) { s.Rested[8].Extra = nil }, `hear made a run of event.id ""`},
		"an event waits for ever":         {func(s *simulation.Story) { s.Jobs[1].Fires.Waiting = 1 }, "of 1 letters that wait"},
		"the end of a run is missed":      {func(s *simulation.Story) { s.Rested = slices.Delete(s.Rested, 9, 10) }, "after made 0 runs of upstream.tick"},
		"a fire makes two runs":           {func(s *simulation.Story) { s.Rested[7].ID += "x" }, "and 2 are of its trigger"},
		"a fire is of another time":       {func(s *simulation.Story) { s.Rested[7].Fire = s.Rested[6].Fire }, "is of the fire at"},
		"a trigger can't be checked":      {func(s *simulation.Story) { s.Jobs[0].Spec.Schedule.When = "0 * * * *" }, "can't be checked"},
		"a run does not survive":          {func(s *simulation.Story) { s.Risen = s.Risen[1:] }, "is gone after all nodes were killed"},
		"a run changes over a kill":       {func(s *simulation.Story) { s.Risen[0].Epoch = 1 }, "in epoch 1 after 2"},
		"a copy lacks a record":           {func(s *simulation.Story) { delete(s.Copies["n1"], "l") }, `differ in 1 of 2 and 1 records: "l"`},
		"a copy has another record":       {func(s *simulation.Story) { s.Copies["n1"]["k"] = "x" }, `differ in 1 of 2 and 2 records: "k"`},
		"a copy has a record too many":    {func(s *simulation.Story) { s.Copies["n1"]["m"] = "x" }, `differ in 1 of 2 and 3 records: "m"`},
		"no copy was looked at":           {func(s *simulation.Story) { s.Copies = nil }, "no server has a copy"},
		"nobody leads":                    {func(s *simulation.Story) { s.Leaders = 0 }, "0 nodes lead"},
	} {
		t.Run(name, func(t *testing.T) {
			s := good()
			for i := range s.Sights { // so that a mutation is of one place
				s.Sights[i].Run.History = slices.Clone(s.Sights[i].Run.History)
				s.Sights[i].Run.Progress.Members = maps.Clone(s.Sights[i].Run.Progress.Members)
			}
			c.mutate(s)
			if found := simulation.Check(s); !strings.Contains(strings.Join(found, "\n"), c.say) {
				t.Errorf("got %q, want %q among them", found, c.say)
			}
		})
	}
}

// TestALongHistoryMayLoseItsBeginning has one that was bounded.
func TestALongHistoryMayLoseItsBeginning(t *testing.T) {
	s := good()
	for _, runs := range [][]job.Run{s.Rested, s.Risen} {
		runs[0].History = []job.Happening{{What: "7 earlier happenings are left out"}}
	}
	s.Sights = s.Sights[:1]
	if found := simulation.Check(s); len(found) > 0 {
		t.Error(fmt.Sprint(found))
	}
}
