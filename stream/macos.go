package stream

import (
	"bytes"
	"encoding/binary"

	"minidump/internal/errtext"
)

// MacosCrashInfoMax is the length of MacosCrashInfo.Records.
const MacosCrashInfoMax = 20

// MacosCrashInfoSize is the size of a MacosCrashInfo in bytes.
const MacosCrashInfoSize = 172

// MacosCrashInfo is the head of the MozMacosCrashInfo stream (MINIDUMP_MAC_CRASH_INFO of Mozilla): the content of the
// __DATA,__crash_info sections of the process's images.
//
//	 0 uint32       stream_type
//	 4 uint32       record_count
//	 8 uint32       record_start_size
//	12 Location[20] records
type MacosCrashInfo struct {
	StreamType      uint32 // MozMacosCrashInfo
	RecordCount     uint32 // entries of Records that are used
	RecordStartSize uint32 // offset in a record at which its texts start
	Records         [MacosCrashInfoMax]Location
}

// Put writes the MacosCrashInfoSize bytes of r to b.
func (r *MacosCrashInfo) Put(b []byte, o binary.ByteOrder) {
	_ = b[MacosCrashInfoSize-1]
	o.PutUint32(b[0:], r.StreamType)
	o.PutUint32(b[4:], r.RecordCount)
	o.PutUint32(b[8:], r.RecordStartSize)
	for i := range r.Records {
		r.Records[i].Put(b[12+LocationSize*i:], o)
	}
}

// Get reads r from the first MacosCrashInfoSize bytes of b.
func (r *MacosCrashInfo) Get(b []byte, o binary.ByteOrder) {
	_ = b[MacosCrashInfoSize-1]
	r.StreamType = o.Uint32(b[0:])
	r.RecordCount = o.Uint32(b[4:])
	r.RecordStartSize = o.Uint32(b[8:])
	for i := range r.Records {
		r.Records[i].Get(b[12+LocationSize*i:], o)
	}
}

// Sizes of the fields of a MacosCrashInfoRecord in bytes, by its version.
const (
	MacosCrashInfoRecordMinSize = 16 // before version 4
	MacosCrashInfoRecord4Size   = 32
	MacosCrashInfoRecordSize    = 40 // from version 5 on
)

// MacosCrashInfoRecord is a record of a MozMacosCrashInfo stream (MINIDUMP_MAC_CRASH_INFO_RECORD): the numbers of the
// crashreporter_annotations_t of one image. From version 4 on, five texts follow it, each ending with a NUL: the image's path,
// message, signature, backtrace, second message.
//
//	 0 uint64 stream_type
//	 8 uint64 version
//	16 uint64 thread
//	24 uint64 dialog_mode
//	32 uint64 abort_cause
type MacosCrashInfoRecord struct {
	StreamType uint64 // MozMacosCrashInfo
	Version    uint64 // of crashreporter_annotations_t
	Thread     uint64
	DialogMode uint64
	AbortCause uint64
}

// Put writes the MacosCrashInfoRecordSize bytes of r to b.
func (r *MacosCrashInfoRecord) Put(b []byte, o binary.ByteOrder) {
	_ = b[MacosCrashInfoRecordSize-1]
	o.PutUint64(b[0:], r.StreamType)
	o.PutUint64(b[8:], r.Version)
	o.PutUint64(b[16:], r.Thread)
	o.PutUint64(b[24:], r.DialogMode)
	o.PutUint64(b[32:], r.AbortCause)
}

// Get reads r from b, which has at least MacosCrashInfoRecordMinSize bytes; fields that are not entirely in b are 0.
func (r *MacosCrashInfoRecord) Get(b []byte, o binary.ByteOrder) {
	_ = b[MacosCrashInfoRecordMinSize-1]
	*r = MacosCrashInfoRecord{StreamType: o.Uint64(b[0:]), Version: o.Uint64(b[8:])}
	if len(b) >= MacosCrashInfoRecord4Size {
		r.Thread, r.DialogMode = o.Uint64(b[16:]), o.Uint64(b[24:])
	}
	if len(b) >= MacosCrashInfoRecordSize {
		r.AbortCause = o.Uint64(b[32:])
	}
}

// MacosCrashInfoData is a MacosCrashInfoRecord with its texts.
type MacosCrashInfoData struct {
	MacosCrashInfoRecord
	ModulePath      string
	Message         string
	SignatureString string
	Backtrace       string
	Message2        string
}

// MacosCrashInfo returns the records of the MozMacosCrashInfo stream.
func (f *File) MacosCrashInfo() ([]MacosCrashInfoData, error) {
	b, err := f.fixed(MozMacosCrashInfo, MacosCrashInfoSize)
	if err != nil {
		return nil, err
	}
	var h MacosCrashInfo
	h.Get(b, f.Order)
	p := f.pieces(nil)
	if h.RecordCount > MacosCrashInfoMax {
		p.fail(errtext.Wrap(ErrFormat, MozMacosCrashInfo, " has ", h.RecordCount, " records"))
		h.RecordCount = MacosCrashInfoMax
	}
	if h.RecordStartSize < MacosCrashInfoRecordMinSize {
		return nil, errtext.Wrap(ErrFormat, MozMacosCrashInfo, " has records of ", h.RecordStartSize, " bytes")
	}
	var list []MacosCrashInfoData
	for _, loc := range h.Records[:h.RecordCount] {
		if loc.DataSize < h.RecordStartSize {
			p.fail(errtext.Wrap(ErrTruncated, MozMacosCrashInfo, ": a record of ", loc.DataSize, " bytes"))
			continue
		}
		record := p.bytes(uint64(loc.RVA), uint64(loc.DataSize))
		if record == nil {
			continue
		}
		var r MacosCrashInfoData
		r.Get(record[:h.RecordStartSize], f.Order)
		record = record[h.RecordStartSize:]
		for _, text := range []*string{&r.ModulePath, &r.Message, &r.SignatureString, &r.Backtrace, &r.Message2} {
			var s []byte
			s, record, _ = bytes.Cut(record, []byte{0})
			*text = string(s)
		}
		list = append(list, r)
	}
	return list, p.err
}

// MacosBootargsSize is the size of a MacosBootargs in bytes.
const MacosBootargsSize = 12

// MacosBootargs is the MozMacosBootargs stream (MINIDUMP_MAC_BOOTARGS of Mozilla): the boot arguments of the kernel.
//
//	0 uint32 stream_type
//	4 uint64 bootargs
type MacosBootargs struct {
	StreamType  uint32 // MozMacosBootargs
	BootargsRVA uint64 // of a string: sysctl kern.bootargs
}

// Put writes the MacosBootargsSize bytes of r to b.
func (r *MacosBootargs) Put(b []byte, o binary.ByteOrder) {
	_ = b[MacosBootargsSize-1]
	o.PutUint32(b[0:], r.StreamType)
	o.PutUint64(b[4:], r.BootargsRVA)
}

// Get reads r from the first MacosBootargsSize bytes of b.
func (r *MacosBootargs) Get(b []byte, o binary.ByteOrder) {
	_ = b[MacosBootargsSize-1]
	r.StreamType = o.Uint32(b[0:])
	r.BootargsRVA = o.Uint64(b[4:])
}

// MacosBootargs returns the text of the MozMacosBootargs stream.
func (f *File) MacosBootargs() (string, error) {
	b, err := f.fixed(MozMacosBootargs, MacosBootargsSize)
	if err != nil {
		return "", err
	}
	var r MacosBootargs
	r.Get(b, f.Order)
	return f.String(r.BootargsRVA)
}
