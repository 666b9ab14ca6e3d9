package seccomp

import (
	"math/rand/v2"
	"testing"
)

// TestDepths holds the tree of least comparisons to one that tries all.
func TestDepths(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		leaves := make([]leaf, 1+random.IntN(14))
		for i := range leaves {
			leaves[i].weight = int32(1 + random.IntN(40)*random.IntN(4))
		}
		got := int32(0)
		for i, depth := range depths(leaves) {
			got += leaves[i].weight * int32(depth)
		}
		if want := leastCost(leaves); got != want {
			t.Fatalf("%v: depths %v cost %d, not %d", leaves, depths(leaves), got, want)
		}
	}
}

// leastCost tries all trees (the dynamic program of Gilbert and Moore).
func leastCost(leaves []leaf) int32 {
	n := len(leaves)
	cost := make([][]int32, n)
	for i := range cost {
		cost[i] = make([]int32, n)
	}
	for size := 2; size <= n; size++ {
		for i := 0; i+size <= n; i++ {
			j := i + size - 1
			sum := int32(0)
			for _, l := range leaves[i : j+1] {
				sum += l.weight
			}
			least := int32(1 << 30)
			for k := i; k < j; k++ {
				least = min(least, cost[i][k]+cost[k+1][j])
			}
			cost[i][j] = least + sum
		}
	}
	return cost[0][n-1]
}
