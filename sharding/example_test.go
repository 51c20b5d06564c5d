package sharding_test

import (
	"fmt"
	"slices"

	"github.com/musterhq/muster/sharding"
)

func ExampleOwner() {
	members := []sharding.Member{{ID: "a", Slots: 4}, {ID: "b", Slots: 4}, {ID: "c", Slots: 8}}
	before, _ := sharding.Owner("customer-7", members)

	// When another member leaves, the owner stays.
	for i, m := range members {
		if m.ID != before.ID {
			rest := slices.Delete(slices.Clone(members), i, i+1)
			after, _ := sharding.Owner("customer-7", rest)
			fmt.Println(after.ID == before.ID)
		}
	}
	// Output:
	// true
	// true
}

func ExampleBounds() {
	sample := [][]byte{[]byte("fig"), []byte("apple"), []byte("pear"), []byte("kiwi"), []byte("plum"), []byte("lime")}
	ranges := sharding.Bounds(sample, 3)
	fmt.Printf("%q\n", ranges)
	for _, key := range []string{"banana", "lemon", "quince"} {
		fmt.Println(key, ranges.Partition([]byte(key)))
	}
	// Output:
	// ["kiwi" "pear"]
	// banana 0
	// lemon 1
	// quince 2
}

func ExampleSplit() {
	sizes := []int64{100, 2500, 300}
	for _, input := range sharding.Split(sizes, 1000, nil) {
		fmt.Println(input)
	}
	// Output:
	// [{0 0 100} {1 0 834}]
	// [{1 834 833}]
	// [{1 1667 833}]
	// [{2 0 300}]
}

func ExampleExplain() {
	members := []sharding.Member{
		{ID: "a", Slots: 4, Tags: []string{"ssd"}},
		{ID: "b", Slots: 4},
		{ID: "c"},
	}
	_, refused := sharding.Eligible(sharding.Constraint{Tags: []string{"gpu"}}, members)
	fmt.Println(sharding.Explain(refused))
	// Output: no worker: 2 lack tag gpu, 1 has no slots
}

func ExamplePlace() {
	members := []sharding.Member{{ID: "a", Slots: 8}, {ID: "b", Slots: 4}, {ID: "c", Slots: 4, Load: 4}}
	credit := func(string) int { return 16 }
	for _, a := range sharding.Place(sharding.Placement{}, 6, members, nil, credit, nil) {
		fmt.Println(a.Member, a.N)
	}
	// Output:
	// a 4
	// b 2
}
