package goruntime

import "minidump/context"

// findThreads finds the M of each thread, and through it the thread's stacks: two vectored reads for the word and the g,
// one for the Ms, one for the bounds. Threads whose M is not found this way, such as all threads of 386, are searched for
// in the list of all Ms by their thread id.
func (k *capturer) findThreads(heads *[maxHeads]uint64) {
	k.resetThreads()
	k.readThreadGs()
	k.readThreadMs()
	k.dropForeignMs()
	k.walkMs(heads)
	k.readThreadBounds()
	k.placeThreads()
}

func (k *capturer) resetThreads() {
	for i := range k.Threads {
		t := &k.Threads[i]
		t.On, t.Secret, t.M, t.CurG, t.g, t.current = NoStack, false, 0, 0, 0, -1
		t.System, t.Signal, t.Goroutine = Bounds{}, Bounds{}, Bounds{}
		t.PC, t.SP, t.LR = k.addr(t.PC), k.addr(t.SP), k.addr(t.LR)
	}
}

// pieces returns a function that returns successive pieces of k.buf.
func (k *capturer) pieces(size int) func() []byte {
	n := 0
	return func() []byte {
		b := k.buf[n*size : (n+1)*size]
		n = (n + 1) % batch
		return b
	}
}

// readThreadGs reads the g of each thread, and from that the address of its M.
func (k *capturer) readThreadGs() {
	k.each(func(t *Thread, q *Request) bool {
		*q = Request{Addr: t.G, Dst: t.word[:k.Program.word]}
		return t.G != 0 && t.Indirect
	}, func(t *Thread, q *Request) {
		t.g = k.ptr(q.Dst)
	})
	piece := k.pieces(k.off.gEnd)
	k.each(func(t *Thread, q *Request) bool {
		if !t.Indirect {
			t.g = k.addr(t.G)
		}
		if t.g == 0 || t.g&(k.Program.word-1) != 0 {
			t.g = 0
			return false
		}
		*q = Request{Addr: t.g, Dst: piece()}
		return true
	}, func(t *Thread, q *Request) {
		t.M = k.ptrOf(q.Dst, gM)
	})
}

// readThreadMs reads the M of each thread. The memory is an M of the thread if it refers back to the g.
func (k *capturer) readThreadMs() {
	piece := k.pieces(k.off.mEnd)
	k.each(func(t *Thread, q *Request) bool {
		if t.M == 0 || t.M&(k.Program.word-1) != 0 {
			t.M = 0
			return false
		}
		*q = Request{Addr: t.M, Dst: piece()}
		return true
	}, func(t *Thread, q *Request) {
		if t.g != k.ptrOf(q.Dst, mG0) && t.g != k.ptrOf(q.Dst, mGSignal) && t.g != k.ptrOf(q.Dst, mCurG) {
			t.M = 0
			return
		}
		k.takeM(t, q.Dst)
	})
}

// dropForeignMs removes the M of a thread if it belongs to another: in a thread that runs C the g register may still hold a g of
// another thread. If the target has its own PID namespace, its thread ids differ from ours, and no M has the id of its thread.
func (k *capturer) dropForeignMs() {
	numbered := false
	for i := range k.Threads {
		t := &k.Threads[i]
		numbered = numbered || t.M != 0 && t.procID == uint64(t.TID)
	}
	for i := range k.Threads {
		if t := &k.Threads[i]; numbered && t.M != 0 && t.procID != uint64(t.TID) {
			t.M, t.CurG = 0, 0
			t.System, t.Signal = Bounds{}, Bounds{}
		}
	}
}

// readThreadBounds reads the bounds of g0 and gsignal, whose addresses are in System.Lo and Signal.Lo until then.
func (k *capturer) readThreadBounds() {
	w := k.Program.word
	for _, which := range [2]func(t *Thread) *Bounds{systemOf, signalOf} {
		k.each(func(t *Thread, q *Request) bool {
			b := which(t)
			at := b.Lo
			*b = Bounds{}
			*q = Request{Addr: at, Dst: t.word[:2*w]}
			return at != 0
		}, func(t *Thread, q *Request) {
			if lo, hi := k.ptr(q.Dst), k.ptr(q.Dst[w:]); lo < hi && hi-lo <= maxStack {
				*which(t) = Bounds{lo, hi}
			}
		})
	}
}

// placeThreads determines which stack each thread is on.
func (k *capturer) placeThreads() {
	for i := range k.Threads {
		t := &k.Threads[i]
		switch {
		case t.M == 0:
		case t.Signal.Contains(t.SP):
			t.On = SignalStack
		case t.System.Contains(t.SP):
			t.On = SystemStack
		}
		if t.On == SignalStack && !t.Interrupted.Have {
			k.findInterrupted(t)
		}
	}
}

// findInterrupted determines where the code interrupted by a signal ran, if the handler is on the signal stack: from the
// signal frame that the kernel pushed there.
func (k *capturer) findInterrupted(t *Thread) {
	b := k.buf[:min(uint64(len(k.buf)), t.Signal.Hi-t.SP)]
	b = b[:max(0, k.mem.Read(t.SP, b))]
	f := &k.frame
	if !context.FindSignalFrame(k.arch, k.order(), b, t.SP, t.SP, f) || !f.OnAltStack || !t.Signal.Contains(f.StackAddr) {
		return
	}
	t.Interrupted.Have, t.Interrupted.PC, t.Interrupted.SP = true, k.addr(f.PC), k.addr(f.SP)
	t.Interrupted.LR = k.addr(f.LR(b, t.SP))
}

func systemOf(t *Thread) *Bounds { return &t.System }
func signalOf(t *Thread) *Bounds { return &t.Signal }

// each makes one request for each thread for which want returns true, in batches, and calls got for those that were served
// completely. A thread whose request failed has no M.
func (k *capturer) each(want func(*Thread, *Request) bool, got func(*Thread, *Request)) {
	ths := k.Threads
	for i := 0; i < len(ths); {
		first, n := i, 0
		for ; i < len(ths) && n < batch; i++ {
			ths[i].asked = want(&ths[i], &k.reqs[n])
			if ths[i].asked {
				n++
			}
		}
		if n == 0 {
			continue
		}
		k.mem.ReadV(k.reqs[:n])
		q := k.reqs[:n]
		for j := first; j < i; j++ {
			if !ths[j].asked {
				continue
			}
			if whole(&q[0]) {
				got(&ths[j], &q[0])
			} else {
				ths[j].g, ths[j].M = 0, 0
			}
			q = q[1:]
		}
	}
}

// takeM records what b, the bytes of the M at t.M, says about its thread.
func (k *capturer) takeM(t *Thread, b []byte) {
	t.CurG = k.ptrOf(b, mCurG)
	t.System.Lo = k.ptrOf(b, mG0)
	t.Signal.Lo = k.ptrOf(b, mGSignal)
	t.VDSO.PC, t.VDSO.SP = k.ptrOf(b, mVDSOPC), k.ptrOf(b, mVDSOSP)
	t.procID = k.u64Of(b, mProcID)
}

// walkMs looks in the list of all Ms for the threads that have no M yet: by thread id, or if no M has an id of ours, by the
// stack that contains SP.
func (k *capturer) walkMs(heads *[maxHeads]uint64) {
	missing := 0
	for i := range k.Threads {
		if k.Threads[i].M == 0 {
			missing++
		}
	}
	if missing == 0 || k.nallm == 0 {
		return
	}
	known := len(k.Threads) - missing
	found, ok := k.findMsByNumber(heads, missing)
	if ok && known+found == 0 && len(k.Threads) <= maxBySP {
		k.findMsByStack(heads, missing)
	}
}

// eachM calls take with each M, whose start is in b, until take has accepted as many as are missing. Each M has or had a
// thread; the runtime keeps few without one.
func (k *capturer) eachM(heads *[maxHeads]uint64, b []byte, missing int, take func(at uint64) bool) (found int) {
	for _, at := range heads[:k.nallm] {
		for n := 0; at != 0 && found < missing && n < 2*len(k.Threads)+64; n++ {
			if k.mem.Read(at, b) != len(b) {
				break
			}
			next := k.ptrOf(b, mAllLink)
			if take(at) {
				found++
			}
			at = next
		}
	}
	return found
}

// findMsByNumber assigns to each thread the M that has its thread id, and returns how many it found; ok is false if there is no space.
func (k *capturer) findMsByNumber(heads *[maxHeads]uint64, missing int) (found int, ok bool) {
	size := 16
	for size < 2*missing {
		size *= 2
	}
	index := alloc[int32](k.space, size) // by thread id
	if index == nil {
		return 0, false
	}
	clear(index)
	mask := uint64(size - 1)
	for i := range k.Threads {
		if k.Threads[i].M != 0 {
			continue
		}
		h := hash(uint64(k.Threads[i].TID))
		for index[h&mask] != 0 {
			h++
		}
		index[h&mask] = int32(i) + 1
	}
	b := k.buf[:k.off.mEnd]
	return k.eachM(heads, b, missing, func(at uint64) bool {
		id := k.u64Of(b, mProcID)
		for h := hash(id); index[h&mask] != 0; h++ {
			if t := &k.Threads[index[h&mask]-1]; t.M == 0 && uint64(t.TID) == id {
				t.M = at
				k.takeM(t, b)
				return true
			}
		}
		return false
	}), true
}

// findMsByStack assigns to each thread the M whose stacks contain its stack pointer.
func (k *capturer) findMsByStack(heads *[maxHeads]uint64, missing int) {
	b, w := k.buf[:k.off.mEnd], int(k.Program.word)
	k.eachM(heads, b, missing, func(at uint64) bool {
		stacks := [3]uint64{k.ptrOf(b, mG0), k.ptrOf(b, mGSignal), k.ptrOf(b, mCurG)}
		for _, g := range stacks {
			head := k.buf[maxM : maxM+2*w]
			if g == 0 || k.mem.Read(g, head) != len(head) {
				continue
			}
			bounds := Bounds{k.ptr(head), k.ptr(head[w:])}
			for i := range k.Threads {
				if t := &k.Threads[i]; t.M == 0 && bounds.Contains(t.SP) && bounds.Hi-bounds.Lo <= maxStack {
					t.M = at
					k.takeM(t, b)
					return true
				}
			}
		}
		return false
	})
}

// maxBySP is the maximum number of threads that are searched for by SP, each in each stack.
const maxBySP = 512
