package wire

// The versions of commands. A server carries out what others have decided, so
// a command may be proposed only once every server understands it: those who
// propose ask VersionOf and compare it with the least MaxCommandVersion of all
// servers.
//
// A field may be added to a command as it is if those who skip it, as older
// servers do, still make the same state of it. Whatever makes another state,
// a new kind or a field that matters, is a new version for the commands that
// use it, and for no others: VersionOf tells them apart by what is in them.

// MaxCommandVersion is the latest version of commands that this program
// carries out.
const MaxCommandVersion = 2

// VersionOf returns the version in which all that c asks for was there first.
func VersionOf(c Command) byte {
	switch c := c.(type) {
	case *Agree:
		return byte(max(c.Version, 1))
	case *CreateRun:
		if c.Overlap != 0 || c.Line != "" || c.Keeps || len(c.Tags) > 0 || c.Ahead != 0 {
			return 2
		}
	case *ForgetRun:
		if c.Limit > 0 {
			return 2
		}
	case *FinishRun:
		if c.Last != nil || c.Plain {
			return 2
		}
	case *KeepRates, *PutNamespace, *PutEvent, *ForgetEvent, *DropLetters, *NoteNode, *PutToken, *RevokeToken, *RecordAudit, *ForgetAudit,
		*BeginOperation, *AdvanceOperation, *CancelOperation, *ForgetOperations, *CreateLot, *EndInLot, *ForgetInLot, *BeginAhead:
		return 2
	case *PutJob:
		if len(c.Listens) > 0 || c.Keep {
			return 2
		}
	case *FireJob:
		for _, run := range c.Runs {
			if VersionOf(run) == 2 {
				return 2
			}
		}
		if c.Hears {
			return 2
		}
	}
	return 1
}
