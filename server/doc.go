// Package server writes minidumps of other processes at their request, usually because they have crashed and are about to end.
//
// On Linux it supports the protocols of these crash clients:
//
//   - minidumper, the Rust crate, of versions 0.10 and 0.11, with crash-handler ([Server.Serve]);
//   - Breakpad's CrashGenerationClient ([Server.ServeBreakpad] for its socket pair, [Server.Serve] if the client connects to a socket);
//   - Crashpad's client ([Server.ServeCrashpad]), for which the program is the handler.
//
// On Windows it supports minidumper's protocol at a named pipe or a Unix domain socket, and on macOS at a Unix domain socket and a Mach
// service ([Server.Serve]). [Client] is a client for Go programs.
//
// # Which process a client can request a dump of
//
// Only itself. The process is the sender of the packet according to the credentials that the kernel adds (SCM_CREDENTIALS, and
// SCM_PIDFD from Linux 6.5 on), never according to the packet's contents. It must belong to the user that the credentials name, which a
// process that has executed a set-user-ID program no longer does, and [Options.Allow] must accept it. A client can choose neither the
// folder nor the file name of a dump, except that the name contains the process's own name.
//
// On Windows the process is the one that Windows reports for the connection. The server keeps a handle of it until the connection ends.
//
// On macOS the process is the sender of the Mach message according to the audit token that the kernel appends. It must have a
// connection with the same token, and the task port that it sends must be its own.
//
// # What can block
//
// Each connection has a goroutine, which waits for packets without a deadline: a silent client costs only a descriptor and this
// goroutine. The numbers of connections in total, for each user and for each process are limited. A dump occupies one of
// [Options.AtOnce] places, and its duration is limited: see StopTimeout and MaxPause of [minidump.Options]. Answers are sent without
// waiting: a client that does not read them is disconnected. A packet longer than 256 KiB ends its connection, and no memory is
// allocated for it.
//
// On kernels before 6.5, if a process ends after it has sent its request, its pid may be reused by another process of the same user,
// which is then dumped.
package server
