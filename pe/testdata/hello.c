/* The smallest program with all that package pe reads. Built with mingw-w64 of Debian 12:
 *
 *   x86_64-w64-mingw32-windres hello.rc hello.res.o
 *   x86_64-w64-mingw32-gcc -O1 -nostdlib -Wl,--entry=start,--subsystem=console,--pdb=hello.pdb \
 *       -Wl,--export-all-symbols -o hello.exe hello.c hello.res.o
 *   x86_64-w64-mingw32-strip hello.exe
 */
int counter;

int start(void) { return counter++; }
