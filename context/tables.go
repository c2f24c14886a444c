package context

import "strconv"

// numbered makes the table entries of count registers that lie one after another in both the register set and the record:
// prefix+first and so on, the first one at offset gp in the set and rec in the record.
func numbered(prefix string, first, count, gp, gpSize, rec, recSize int) []reg {
	regs := make([]reg, 0, count+8)
	for i := range count {
		regs = append(regs, reg{prefix + strconv.Itoa(first+i), uint16(gp + gpSize*i), uint8(gpSize),
			uint16(rec + recSize*i), uint8(recSize), true})
	}
	return regs
}

// named is numbered for registers that have names of their own.
func named(names []string, gp, gpSize, rec, recSize int) []reg {
	regs := numbered("", 0, len(names), gp, gpSize, rec, recSize)
	for i, n := range names {
		regs[i].name = n
	}
	return regs
}
