package state

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// What becomes of nodes is told as events are, and remembered so that nothing is
// told twice.

// NoteNode records what became of a node: it joins, leaves or leads, in a life
// or, if it leads, a term. What is known already changes nothing, so each
// leader may say all that it sees.
func (s *State) NoteNode(ctx context.Context, what, node, called string, life uint64) error {
	c := &wire.NoteNode{What: what, Node: node, Called: called, Life: life, At: s.now().UnixNano()}
	if err := checkNames(c); err != nil {
		return err
	}
	_, err := s.propose(ctx, c)
	return err
}

// noted is what is known of a node: which life it was in last, and whether it
// has left; of who leads, by the empty ID, the last term.
type noted struct {
	life uint64
	left bool
}

func readNoted(g getter, id string) (n noted, known bool, err error) {
	b, err := g.Get(nodeKey(id))
	if errors.Is(err, store.ErrNotFound) {
		return n, false, nil
	}
	if err == nil && len(b) != 9 {
		err = fmt.Errorf("state: record of node %q has %d bytes: %w", id, len(b), store.ErrCorrupt)
	}
	if err != nil {
		return n, false, err
	}
	return noted{binary.BigEndian.Uint64(b), b[8] != 0}, true, nil
}

func (tx *change) putNoted(id string, n noted) error {
	b := binary.BigEndian.AppendUint64(nil, n.life)
	if n.left {
		return tx.batch.Put(nodeKey(id), append(b, 1))
	}
	return tx.batch.Put(nodeKey(id), append(b, 0))
}

func (tx *change) noteNode(c *wire.NoteNode) (result, error) {
	id := c.Node
	if c.What == job.NodeLeads {
		id = ""
	}
	old, known, err := readNoted(tx.batch, id)
	if err != nil {
		return result{}, err
	}
	var news []string
	next := noted{life: c.Life}
	switch c.What {
	case job.NodeLeads:
		if known && c.Life <= old.life {
			return result{}, nil
		}
		if news = []string{job.NodeLeads}; !known {
			news = append(news, job.ClusterForm)
		}
	case job.NodeJoins:
		switch {
		case known && (c.Life < old.life || c.Life == old.life && !old.left):
			return result{}, nil
		case !known || c.Life > old.life:
			news = append(news, job.NodeStarts)
		}
		news = append(news, job.NodeJoins)
	case job.NodeLeaves:
		if !known || old.left || c.Life != old.life {
			return result{}, nil
		}
		news, next.left = []string{job.NodeLeaves}, true
	default:
		return refuse(ErrInvalid, "nothing called %q happens to a node", c.What)
	}
	for _, what := range news {
		l := &wire.Letter{Kind: wire.LetterNode, At: c.At, What: what, Node: c.Node, Called: c.Called, Life: c.Life}
		if err := tx.tell(topicOf("", job.TopicNodes), l); err != nil {
			return result{}, err
		}
	}
	return result{}, tx.putNoted(id, next)
}

// Present returns the lives of the nodes that have joined and not left, by ID.
func (s *State) Present() (map[string]uint64, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	all := map[string]uint64{}
	for p, err := range v.Scan([]byte("N")) {
		if err != nil {
			return nil, err
		}
		if len(p.Value) != 9 {
			return nil, fmt.Errorf("state: record %q of a node: %w", p.Key, store.ErrCorrupt)
		}
		if id := string(p.Key[1 : len(p.Key)-1]); id != "" && p.Value[8] == 0 {
			all[id] = binary.BigEndian.Uint64(p.Value)
		}
	}
	return all, nil
}
