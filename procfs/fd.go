package procfs

// FileTypeName returns the name of a file type, given the st_mode (S_IFMT in linux/stat.h). Files of anonymous inodes (eventfd,
// epoll, io_uring and so on) have no type bits. It returns "" for an unknown type.
func FileTypeName(mode uint32) string {
	switch mode & 0o170000 {
	case 0o100000:
		return "File"
	case 0o040000:
		return "Directory"
	case 0o010000:
		return "Pipe"
	case 0o140000:
		return "Socket"
	case 0o020000:
		return "Char"
	case 0o060000:
		return "Block"
	case 0o120000:
		return "Link"
	case 0:
		return "anon_inode"
	}
	return ""
}
