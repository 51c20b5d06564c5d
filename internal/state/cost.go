package state

import (
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// A command says before it is carried out what it takes at most, so that one that
// does not fit begins another batch.

// cost returns the run that c is about and an upper bound of what c writes,
// the run's status and place in the indexes left out.
func cost(c wire.Command) (job.RunID, int) {
	switch c := c.(type) {
	case *wire.CreateRun:
		return c.Run, partsSize(len(c.Run), len(c.Record)) + entriesSize(c.Run, c.Entries) + len(c.Master) + listingsSize(c.Run, c.Tags)
	case *wire.StageEntry:
		return c.Run, entriesSize(c.Run, [][]byte{c.Entry})
	case *wire.DiscardStaged:
		return c.Run, discardStep * (MaxEntry/partSize + 1) * (len(c.Run) + perRecord)
	case *wire.AdmitRun:
		return c.Run, 0
	case *wire.AssignRun:
		return c.Run, len(c.Master) + len(c.Called)
	case *wire.AppendEntries:
		return c.Run, entriesSize(c.Run, c.Entries)
	case *wire.FinishRun:
		return c.Run, len(c.Reason) + len(c.Progress) + partsSize(len(c.Run), len(c.Last))
	case *wire.CancelRun:
		return c.Run, len(c.Reason)
	case *wire.KillRun:
		return c.Run, 2 * len(c.Reason)
	case *wire.NoteRun:
		return c.Run, 0
	case *wire.RewriteEntries:
		return c.Run, entriesSize(c.Run, c.Entries) + len(c.Seqs)*(MaxEntry/partSize+1)*(len(c.Run)+perRecord)
	case *wire.CompactedRun:
		return c.Run, 0
	case *wire.ForgetRun:
		return c.Run, partsSize(len(c.Run), maxRecord) - maxRecord + maxHistory*(len(c.Run)+perRecord) +
			int(min(c.Limit, discardStep))*(MaxEntry/partSize+1)*(len(c.Run)+perRecord)
	case *wire.CreateLot:
		return c.Lot, partsSize(len(c.Lot), len(c.Record)+len(c.Params)) + entriesSize(c.Lot, c.Entries) + len(c.Master) + listingsSize(c.Lot, c.Tags) + job.MaxLot/4
	case *wire.EndInLot:
		return c.Lot, partsSize(len(c.Lot), len(c.Progress)+len(c.Last)) + job.MaxLot/4
	case *wire.ForgetInLot:
		return c.Lot, len(c.Runs)*(3*maxName+perRecord) + lotDrops(c.Lot) + job.MaxLot/4
	case *wire.FreeKey:
		return "", 2 * (len(c.Namespace) + len(c.Job) + len(c.Key) + perRecord)
	case *wire.PutJob:
		return "", withdrawalSize + topicsSize(c.Namespace, c.Name, c.Listens) + 2*partsSize(len(c.Namespace)+len(c.Name), len(c.Record)) + revisionSize(c.Namespace, c.Name) + (len(c.Chunks)+maxJobChunks)*(MaxEntry/partSize+1)*
			(len(c.Namespace)+len(c.Name)+perRecord) + stepSize(c.Chunks) + maxJobStatus
	case *wire.FireJob:
		n := maxJobStatus
		for _, run := range c.Runs {
			id, need := cost(run)
			n += need + statusSize(id, nil) + 2*maxWhat + 2*indexRecords*(namesSize(run, nil)+perRecord)
		}
		if c.Hears {
			names := len(c.Namespace) + len(c.Name)
			n += partsSize(names, len(c.Memory)) + (len(c.Consumed)+maxRemembered/partSize+8)*(names+perRecord)
		}
		return "", n
	case *wire.PutEvent:
		return "", maxTold + 2*(len(c.Namespace)+len(c.Name)+len(c.ID)+perRecord)
	case *wire.ForgetEvent:
		return "", 2 * (len(c.Namespace) + len(c.Name) + len(c.ID) + perRecord)
	case *wire.DropLetters:
		return "", maxJobStatus + (len(c.Seqs)+2)*(len(c.Namespace)+len(c.Name)+perRecord)
	case *wire.NoteNode:
		return "", len(c.Node) + perRecord
	case *wire.BeginAhead:
		return "", perRecord
	case *wire.PauseJob:
		return "", withdrawalSize + maxJobStatus + 4*(len(c.Namespace)+len(c.Name)+perRecord) + len(c.Reason)
	case *wire.ResumeJob:
		return "", maxJobStatus + 4*(len(c.Namespace)+len(c.Name)+perRecord)
	case *wire.KeepRates:
		return "", ratesSize(c.Windows)
	case *wire.PutNamespace:
		return "", len(c.Name) + len(c.Record) + perRecord
	case *wire.PutToken:
		return "", 2*(len(c.ID)+perRecord) + len(c.Hash) + len(c.Record)
	case *wire.RevokeToken:
		return "", len(c.ID) + perRecord
	case *wire.RecordAudit:
		return "", len(c.ID) + len(c.Record) + perRecord
	case *wire.ForgetAudit:
		return "", len(c.IDs) * (maxName + perRecord)
	case *wire.BeginOperation:
		return "", operationSize(c.Namespace, c.ID, len(c.Selection))
	case *wire.AdvanceOperation:
		return "", operationSize(c.Namespace, c.ID, 0)
	case *wire.CancelOperation:
		return "", operationSize(c.Namespace, c.ID, 0)
	case *wire.ForgetOperations:
		return "", len(c.IDs) * 2 * (2*maxName + perRecord)
	case *wire.DeleteJob:
		return "", withdrawalSize + topicsSize(c.Namespace, c.Name, nil) + maxRevisions*revisionSize(c.Namespace, c.Name) + maxJobStatus + (maxRemembered/partSize+maxRecord/partSize+maxJobChunks*(MaxEntry/partSize+1)+8)*(len(c.Namespace)+len(c.Name)+perRecord)
	}
	return "", 0
}

// withdrawalSize is above what it takes to withdraw the run of a fire, whose status
// is written as one that is not there.
const withdrawalSize = (maxRecord/partSize + 1 + indexRecords + maxHistory + job.MaxTags) * (3*maxName + perRecord)

// topicsSize is an upper bound of what it takes to listen to other topics than
// before, of which a trigger has at most a hundred.
func topicsSize(namespace, name string, topics []string) int {
	each := 2*len(namespace) + len(name) + perRecord
	n := 100*(each+maxTopic) + 4*each
	for _, t := range topics {
		n += each + len(t)
	}
	return n
}

// revisionSize is above what it takes to forget a revision.
func revisionSize(namespace, name string) int {
	return (maxRecord/partSize + 1) * (len(namespace) + len(name) + perRecord)
}

// maxTopic is above the length of what the triggers of this version listen to.
const maxTopic = 256

// indexRecords is above how many records of indexes, history and counts one
// command writes or removes, each with the names of one run.
const indexRecords = 15

// moves reports whether c may change a run's place in the indexes.
func moves(c wire.Command) bool {
	switch c.(type) {
	case *wire.StageEntry, *wire.DiscardStaged, *wire.AppendEntries, *wire.RewriteEntries:
		return false
	}
	return true
}

// namesSize is an upper bound of the names in a record about c's run.
func namesSize(c wire.Command, st *wire.RunStatus) int {
	id, _ := cost(c)
	n := len(id)
	switch c := c.(type) {
	case *wire.CreateRun:
		n += len(c.Namespace) + len(c.Job) + len(c.Key) + len(c.Of) + len(c.Line)
	case *wire.CreateLot:
		n += len(c.Namespace) + len(c.Job)
	}
	if st != nil {
		n += len(st.Namespace) + len(st.Job) + len(st.Key) + len(st.Of) + len(st.Line)
	}
	return n
}

func entriesSize(id job.RunID, entries [][]byte) int {
	n := 0
	for _, e := range entries {
		n += partsSize(len(id), len(e))
	}
	return n
}

// perRecord is an upper bound of what a record takes beyond names and value.
const perRecord = 128

// partsSize is an upper bound of what putParts writes for a blob under a key
// that holds names of the given length.
func partsSize(names, blob int) int { return blob + (blob/partSize+1)*(names+perRecord) }
