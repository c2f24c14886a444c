// Package server writes minidumps of other processes at their request: of those that crash, before they end.
//
// It speaks the protocols of these crash clients on Linux:
//
//   - minidumper, the Rust crate, of versions 0.10 and 0.11, with crash-handler ([Server.Serve]);
//   - Breakpad's CrashGenerationClient ([Server.ServeBreakpad] for its socket pair, [Server.Serve] if the client connects to a socket);
//   - Crashpad's client ([Server.ServeCrashpad]), whose handler the program then is.
//
// On Windows it speaks minidumper's, at a named pipe or a socket of the Unix domain, and on macOS, at a socket and a Mach
// service ([Server.Serve]). [Client] is a client for Go programs.
//
// # Whom a client can have dumped
//
// Itself. The process is the one that sent the packet, by the credentials that the kernel adds (SCM_CREDENTIALS, and
// SCM_PIDFD from Linux 6.5 on), never by what the packet says. It must belong to the user that the credentials name,
// which a process that has executed a set-user-ID program no longer does, and [Options.Allow] must accept it. A client
// chooses neither the folder nor, except for the process's own name in it, the name of a file.
//
// On Windows the process is the one that has connected, by what Windows says of the connection, and it is held open while that lasts.
//
// On macOS it is the one that has sent the Mach message, by the audit token that the kernel appends. It must be connected by the same
// token, and the task port that it sends must be its own.
//
// # What can block
//
// Each connection has a goroutine, which waits for packets without a deadline: a client that says nothing holds a
// descriptor and nothing else. Connections are limited in all, for each user and for each process. A dump holds one of
// [Options.AtOnce] places, and ends by itself: see [minidump.Options] StopTimeout and MaxPause. Answers are sent without
// waiting: a client that does not read them is disconnected. A packet longer than 256 KiB ends its connection, and no
// memory is taken for it.
//
// On a kernel before 6.5 a process that has sent its request and ended may have its number taken by another process of
// the same user, which is then dumped.
package server
