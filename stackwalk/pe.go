package stackwalk

func (p *Process) byPE(s, next *state) outcome { return failed }
func (im *image) findPE()                      {}
