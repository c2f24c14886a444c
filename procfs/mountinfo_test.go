package procfs

import (
	"strings"
	"testing"
)

const mountText = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:21 / /proc rw - proc proc rw
24 22 0:6 / /dev rw - devtmpfs devtmpfs rw
30 22 0:40 / /mnt/nas rw shared:1 master:2 - nfs4 server:/export rw,vers=4.2
31 22 0:41 /sub /home/a\040b rw,nosuid shared:7 - fuse.sshfs me@host: rw
32 22 0:42 / /var/lib/c/1 rw - overlay overlay rw,lowerdir=/var/lib/c/l/1:/var/lib/c/l/2,upperdir=/u,workdir=/w
33 22 0:43 / /var/lib/c/2 rw - overlay overlay rw,lowerdir=/opt/lower::/mnt/nas/layers,upperdir=/u,workdir=/w
34 22 0:44 / /var/lib/c/3 rw - overlay overlay rw,lowerdir+=/opt/lower,lowerdir+=/home/a\040b/x,upperdir=/u
35 22 0:45 / /var/lib/c/4 rw - overlay overlay rw,lowerdir=l/A:l/B,upperdir=10/fs
36 22 0:46 / /mnt/nasty rw - tmpfs none rw
37 22 43:0 / /nbd rw - xfs /dev/nbd0 rw
38 22 251:0 / /rbd rw - ext4 /dev/rbd0 rw
39 22 0:47 / /nydus rw - erofs none ro,fsid=abc,domain_id=d
40 22 253:1 / /image rw - erofs /dev/dm-1 ro
41 22 0:48 / /image2 rw - erofs /mnt/nas/image ro
42 22 0:49 / /secret rw - ecryptfs /home/a\040b/.secret rw
43 22 0:50 / /secret2 rw - ecryptfs /mnt/nasty/x rw
44 22 0:51 / /over rw - overlay overlay rw,lowerdir=/mnt/nasty/a:/mnt/nas2,datadir+=/x
45 22 0:52 / / rw - something.new none rw
`

func TestBackingOf(t *testing.T) {
	for _, c := range []struct {
		major, minor uint32
		want         Backing
		kind         string
	}{
		{254, 0, BackingLocal, "ext4"}, {0, 21, BackingUnknown, "proc"}, {0, 6, BackingUnknown, "devtmpfs"},
		{0, 40, BackingServer, "nfs4"}, {0, 41, BackingServer, "fuse.sshfs"}, {0, 42, BackingStacked, "overlay"},
		{0, 43, BackingServer, "overlay"}, {0, 44, BackingServer, "overlay"}, {0, 45, BackingStacked, "overlay"},
		{0, 46, BackingLocal, "tmpfs"}, {43, 0, BackingServer, "xfs"}, {251, 0, BackingServer, "ext4"},
		{0, 47, BackingServer, "erofs"}, {253, 1, BackingLocal, "erofs"}, {0, 48, BackingServer, "erofs"},
		{0, 49, BackingServer, "ecryptfs"}, {0, 50, BackingStacked, "ecryptfs"}, {0, 51, BackingStacked, "overlay"},
		{0, 52, BackingUnknown, "something.new"}, {0, 99, BackingUnknown, ""}, {1, 21, BackingUnknown, ""},
	} {
		b, kind := BackingOf([]byte(mountText), c.major, c.minor)
		if b != c.want || string(kind) != c.kind {
			t.Errorf("%d:%d: %v %s, want %v %s", c.major, c.minor, b, kind, c.want, c.kind)
		}
		if b.Answers() != (b == BackingLocal || b == BackingStacked) {
			t.Errorf("%v answers: %v", b, b.Answers())
		}
	}
	// More layers than are looked up at once: the last layer counts too.
	many := "1 1 0:1 / /o rw - overlay o rw,lowerdir=" + strings.Repeat("/a:", 100) + "/mnt/nas/x\n" + mountText
	if b, _ := BackingOf([]byte(many), 0, 1); b != BackingServer {
		t.Errorf("101 layers: %v", b)
	}
	// A text that was cut short: the last, incomplete line is unknown.
	cut := mountText[:strings.Index(mountText, " - tmpfs")]
	if b, _ := BackingOf([]byte(cut), 0, 46); b != BackingUnknown {
		t.Errorf("cut off: %v", b)
	}
}

func TestBackingOfType(t *testing.T) {
	for kind, want := range map[string]Backing{
		"ext4": BackingLocal, "btrfs": BackingLocal, "tmpfs": BackingLocal, "hugetlbfs": BackingLocal, "overlay": BackingStacked,
		"fuse": BackingServer, "fuseblk": BackingServer, "fuse.rclone": BackingServer, "9p": BackingServer, "ceph": BackingServer,
		"smb3": BackingServer, "virtiofs": BackingServer, "afs": BackingServer, "": BackingUnknown, "ext": BackingUnknown,
		"proc": BackingUnknown, "secretmem": BackingUnknown,
	} {
		if got := BackingOfType([]byte(kind)); got != want {
			t.Errorf("%q: %v, want %v", kind, got, want)
		}
	}
	if s := BackingLocal.String() + BackingServer.String() + BackingStacked.String() + Backing(9).String(); s != "localserverstackedunknown" {
		t.Error(s)
	}
}

func TestNextMount(t *testing.T) {
	m, rest, ok := NextMount([]byte("garbage\n31 22 0:41 /sub /home/a\\040b rw,nosuid shared:7 - fuse.sshfs me@host: rw,x=y\nrest"))
	if !ok || m.Major != 0 || m.Minor != 41 || string(m.Point) != `/home/a\040b` || string(m.Type) != "fuse.sshfs" ||
		string(m.Source) != "me@host:" || string(m.Options) != "rw,x=y" || string(rest) != "rest" {
		t.Errorf("%+v, %q, %v", m, rest, ok)
	}
	for _, line := range []string{
		"", "1 1 0:1 / /o rw", "1 1 0:1 / /o rw - ", "1 1 0:1 / /o rw -", "1 1 01 / /o rw - tmpfs x rw", "1 1 : / /o rw - tmpfs x rw",
		"1 1 0: / /o rw - tmpfs x rw", "1 1 0:99999999999 / /o rw - tmpfs x rw", "1 1 0:1 /  rw - tmpfs x rw", "1 1 0:1x / / rw - tmpfs x rw",
	} {
		if m, _, ok := NextMount([]byte(line + "\n")); ok {
			t.Errorf("%q: %+v", line, m)
		}
	}
}

func FuzzMountinfo(f *testing.F) {
	f.Add([]byte(mountText), uint32(0), uint32(43))
	f.Add([]byte("1 1 0:1 / / rw - overlay  lowerdir=:::/:a,\n"), uint32(0), uint32(1))
	f.Fuzz(func(t *testing.T, b []byte, major, minor uint32) {
		backing, kind := BackingOf(b, major, minor)
		if backing != BackingUnknown && kind == nil {
			t.Errorf("%v of no type", backing)
		}
		lines := 0
		for rest := b; ; lines++ {
			m, next, ok := NextMount(rest)
			if !ok {
				break
			}
			if len(next) >= len(rest) || len(m.Point) == 0 || len(m.Type) == 0 {
				t.Fatalf("%+v, %d bytes of %d left", m, len(next), len(rest))
			}
			rest = next
		}
	})
}
