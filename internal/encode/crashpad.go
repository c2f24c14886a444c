package encode

import (
	"minidump/context"
	"minidump/stream"

	"minidump/internal/snapshot"
)

// putCrashpad puts CrashpadInfo, even without annotations: Crashpad's reader rejects a dump that has a module list but
// no CrashpadInfo (ProcessSnapshotMinidump::InitializeModules).
func (f *File) putCrashpad() {
	e := &f.enc
	n, modules := f.countAnnotations(), f.countAnnotated()
	off := f.begin()
	r := stream.CrashpadInfo{Version: stream.CrashpadInfoVersion}
	if n > 0 {
		r.SimpleAnnotations = f.location(off+stream.CrashpadInfoSize, 4+uint64(n)*stream.SimpleStringDictionaryEntrySize)
	}
	if modules > 0 {
		r.ModuleList = f.location(f.at.annotated, 4+uint64(modules)*stream.ModuleCrashpadInfoLinkSize)
	}
	r.Put(e.Next(stream.CrashpadInfoSize), e.Order())
	f.end(stream.CrashpadInfoStream, off)
	if n > 0 {
		f.putAnnotations(n)
	}
	if modules > 0 {
		f.putAnnotated(modules)
	}
}

// putAnnotations puts the annotations of the process.
func (f *File) putAnnotations(n int) {
	e := &f.enc
	e.U32(uint32(n))
	for i := range n {
		d := stream.SimpleStringDictionaryEntry{KeyRVA: f.rva(f.at.annotations[i].key), ValueRVA: f.rva(f.at.annotations[i].value)}
		d.Put(e.Next(stream.SimpleStringDictionaryEntrySize), e.Order())
	}
	for i := range n {
		tag := f.annotation(i)
		e.Align(4)
		f.at.annotations[i].key = e.Offset()
		e.UTF8String(bytesOf(tag.Key))
		e.Align(4)
		f.at.annotations[i].value = e.Offset()
		e.UTF8String(bytesOf(tag.Value))
	}
}

// diedOf is the key of the annotation that names the signal that finally killed the process, if the exception is an earlier cause.
const diedOf = "died-of"

// countAnnotations returns the number of annotations: the caller's, and one about the signal that killed the process.
func (f *File) countAnnotations() int {
	tags := f.snap.Want.Annotations
	if f.snap.Crash.DiedOf == 0 {
		return len(tags)
	}
	for i := range tags {
		if tags[i].Key == diedOf {
			return len(tags)
		}
	}
	return len(tags) + 1
}

// annotation returns the i-th annotation.
func (f *File) annotation(i int) snapshot.Annotation {
	if tags := f.snap.Want.Annotations; i < len(tags) {
		return tags[i]
	}
	return snapshot.Annotation{Key: diedOf, Value: context.SignalNameArch(f.snap.Target.Arch, f.snap.Crash.DiedOf)}
}

// countAnnotated returns the number of modules with annotations.
func (f *File) countAnnotated() (n int) {
	for i := range f.snap.Want.Annotated {
		if f.annotatedModule(i) >= 0 {
			n++
		}
	}
	return n
}

// annotatedModule returns the index of the module that Want.Annotated[i] is about, or -1 if the dump does not have it.
func (f *File) annotatedModule(i int) int {
	at := f.snap.Want.Annotated[i].Address
	for k := range f.snap.Modules.All() {
		if m := f.snap.Modules.At(k); m.Base <= at && at < m.End {
			return k
		}
	}
	return -1
}

// putAnnotated puts the annotations of modules: links, and for each module a record and what it refers to. All sizes
// follow from the texts, so an offset can be computed before its target is put.
func (f *File) putAnnotated(n int) {
	e := &f.enc
	e.Align(4)
	f.at.annotated = e.Offset()
	e.U32(uint32(n))
	at := e.Offset() + uint64(n)*stream.ModuleCrashpadInfoLinkSize
	list := f.snap.Want.Annotated
	for i := range list {
		if k := f.annotatedModule(i); k >= 0 {
			link := stream.ModuleCrashpadInfoLink{ModuleIndex: uint32(k), Location: f.location(at, stream.ModuleCrashpadInfoSize)}
			link.Put(e.Next(stream.ModuleCrashpadInfoLinkSize), e.Order())
			at += annotatedSize(&list[i])
		}
	}
	for i := range list {
		if f.annotatedModule(i) >= 0 {
			f.putAnnotatedModule(&list[i])
		}
	}
}

func (f *File) putAnnotatedModule(m *snapshot.Annotated) {
	e := &f.enc
	simple := e.Offset() + stream.ModuleCrashpadInfoSize
	objects := simple + dictionarySize(len(m.Simple))
	text := objects + objectsSize(len(m.Objects))
	r := stream.ModuleCrashpadInfo{Version: stream.CrashpadInfoVersion}
	if len(m.Simple) > 0 {
		r.SimpleAnnotations = f.location(simple, dictionarySize(len(m.Simple)))
	}
	if len(m.Objects) > 0 {
		r.AnnotationObjects = f.location(objects, objectsSize(len(m.Objects)))
	}
	r.Put(e.Next(stream.ModuleCrashpadInfoSize), e.Order())
	e.U32(uint32(len(m.Simple)))
	for i := range m.Simple {
		d := stream.SimpleStringDictionaryEntry{KeyRVA: f.rva(text)}
		text += textSize(m.Simple[i].Key)
		d.ValueRVA = f.rva(text)
		text += textSize(m.Simple[i].Value)
		d.Put(e.Next(stream.SimpleStringDictionaryEntrySize), e.Order())
	}
	e.U32(uint32(len(m.Objects)))
	for i := range m.Objects {
		o := stream.AnnotationObject{NameRVA: f.rva(text), Type: m.Objects[i].Type}
		text += textSize(m.Objects[i].Name)
		o.ValueRVA = f.rva(text)
		text += textSize(m.Objects[i].Value)
		o.Put(e.Next(stream.AnnotationObjectSize), e.Order())
	}
	for i := range m.Simple {
		f.putText(m.Simple[i].Key)
		f.putText(m.Simple[i].Value)
	}
	for i := range m.Objects {
		f.putText(m.Objects[i].Name)
		f.putText(m.Objects[i].Value)
	}
}

// putText puts a string or the bytes of a value, which Crashpad stores in the same form (MinidumpByteArray, whose length
// does not include the NUL after it).
func (f *File) putText(s string) {
	f.enc.UTF8String(bytesOf(s))
	f.enc.Align(4)
}

func textSize(s string) uint64 { return (stream.UTF8StringSize(bytesOf(s)) + 3) &^ 3 }

func dictionarySize(n int) uint64 { return 4 + uint64(n)*stream.SimpleStringDictionaryEntrySize }

func objectsSize(n int) uint64 { return 4 + uint64(n)*stream.AnnotationObjectSize }

// annotatedSize returns the number of bytes that putAnnotatedModule puts.
func annotatedSize(m *snapshot.Annotated) uint64 {
	n := stream.ModuleCrashpadInfoSize + dictionarySize(len(m.Simple)) + objectsSize(len(m.Objects))
	for i := range m.Simple {
		n += textSize(m.Simple[i].Key) + textSize(m.Simple[i].Value)
	}
	for i := range m.Objects {
		n += textSize(m.Objects[i].Name) + textSize(m.Objects[i].Value)
	}
	return n
}
