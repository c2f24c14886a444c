package goruntime

// A gatherer reads many small pieces of memory with few reads: pieces in one page or in adjacent pages are read at once and copied
// from there. A read from a live process costs at least half a microsecond however small it is (process_vm_readv walks the page
// table for each range), and goroutines and their stacks of 2 KiB are next to one another.
type gatherer struct {
	order   []uint16 // of the requests, sorted by address
	extents []Request
	members []uint16 // how many requests each extent serves
	buf     []byte
}

// Limits of a gatherer.
const (
	gatherBuf = 1 << 20
	maxExtent = 64 << 10
)

// init allocates the memory. It returns false if there is none.
func (g *gatherer) init(space Space) bool {
	g.order, g.members = alloc[uint16](space, batch), alloc[uint16](space, batch)
	g.extents, g.buf = alloc[Request](space, batch), alloc[byte](space, gatherBuf)
	return g.order != nil && g.members != nil && g.extents != nil && g.buf != nil
}

// read serves at most batch requests, like Memory.ReadV.
func (g *gatherer) read(mem Memory, q []Request) {
	order := g.order[:len(q)]
	for i := range order {
		order[i] = uint16(i)
	}
	sortByAddr(order, q)
	for len(order) > 0 {
		n := g.plan(order, q)
		mem.ReadV(g.extents)
		g.hand(mem, order[:n], q)
		order = order[n:]
	}
}

// plan makes extents for the first requests in order, as many as fit, and returns the number of those requests.
func (g *gatherer) plan(order []uint16, q []Request) (n int) {
	g.extents, g.members = g.extents[:0], g.members[:0]
	used := 0
	for n < len(order) && len(g.extents) < batch {
		first := &q[order[n]]
		lo, hi, count := first.Addr, endOf(first), 1
		for n+count < len(order) {
			r := &q[order[n+count]]
			end := max(hi, endOf(r))
			if r.Addr/pageSize > (hi-1)/pageSize+1 || end-lo > maxExtent || hi <= lo {
				break
			}
			hi = end
			count++
		}
		dst := first.Dst
		if count > 1 {
			if hi-lo > uint64(len(g.buf)-used) {
				if n > 0 {
					break
				}
				count = 1 // the request is read alone
			} else {
				dst = g.buf[used:][:hi-lo]
				used += len(dst)
			}
		}
		g.extents = append(g.extents, Request{Addr: lo, Dst: dst}) // within capacity
		g.members = append(g.members, uint16(count))
		n += count
	}
	return n
}

// endOf returns the end of a request, or its start if the end overflows.
func endOf(r *Request) uint64 { return max(r.Addr, r.Addr+uint64(len(r.Dst))) }

// hand copies the contents of the extents to the requests. A request that is not in its extent is read again, alone.
func (g *gatherer) hand(mem Memory, order []uint16, q []Request) {
	for i := range g.extents {
		x := &g.extents[i]
		for _, at := range order[:g.members[i]] {
			r := &q[at]
			if g.members[i] == 1 {
				r.Got = x.Got
				continue
			}
			off := r.Addr - x.Addr
			if off+uint64(len(r.Dst)) <= uint64(max(0, x.Got)) {
				r.Got = copy(r.Dst, x.Dst[off:])
			} else {
				r.Got = mem.Read(r.Addr, r.Dst)
			}
		}
		order = order[g.members[i]:]
	}
}

// sortByAddr sorts the indexes of requests by address. They are mostly in that order already, for which a Shell sort (with Ciura's
// gaps) is small and fast.
func sortByAddr(order []uint16, q []Request) {
	for _, gap := range [...]int{701, 301, 132, 57, 23, 10, 4, 1} {
		for i := gap; i < len(order); i++ {
			v := order[i]
			addr := q[v].Addr
			j := i
			for ; j >= gap && q[order[j-gap]].Addr > addr; j -= gap {
				order[j] = order[j-gap]
			}
			order[j] = v
		}
	}
}
