#!/bin/sh
# gen.sh DIR N: builds N small shared objects lib0000.so ... in DIR, with distinct build ids and SONAMEs, using $CC (default gcc).
set -e
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"
export here CC="${CC:-gcc}"
i=0
while [ "$i" -lt "$2" ]; do
  printf '%04d\n' "$i"
  i=$((i + 1))
done | xargs -P "$(nproc)" -I N sh -c 'sed "s/NNN/N/g" "$here/lib.c" |
  $CC -shared -fPIC -O1 -g -nostdlib -Wl,--build-id=sha1 -Wl,-soname,libN.so -o libN.so -x c -'
