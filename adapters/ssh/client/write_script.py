"""The constant script of the one writing verb that touches files: guarded replacement with proof and roll back."""

from __future__ import annotations

REPLACE = r"""
trap '' HUP INT TERM PIPE  # a connection that breaks leaves a script that finishes or cleans up
verdict() { printf '\n%s %s\n' "$VERDICT" "$1"; shift; printf '%s\n' "$@"; }
each() { i=1; while [ "$i" -le "$N" ]; do
  eval "P=\$P$i E=\$E$i H=\$H$i L=\$L$i T=\$T$i B=\$B$i"; "$1" || return 1; i=$((i + 1)); done; }
sum() { s=$(sha256sum < "$1") || return 1; s=${s%% *}; }
names() { D=${P%/*}; F=${P##*/}; eval "T$i=\$D/.\$F.deck.$$.new B$i=\$D/.\$F.deck.$$.old"; }
drop() { rm -f -- "$T" "$B"; }
finish() { each drop; [ -z "$MADE" ] || rm -rf -- "$MADE"; }
fail() { finish; verdict "FAIL $1" "$2"; exit 0; }
alive() {
  [ "$1" != $$ ] || return 1
  c=; { read -r c < "/proc/$1/comm"; } 2>/dev/null
  case $c in sh|dash|bash|ash|busybox) return 0;; *) return 1;; esac
}
sweep() {  # what runs that were killed left beside the file: nobody else is at it, since we hold the lock
  for f in "${P%/*}"/.*.deck.*.new "${P%/*}"/.*.deck.*.old; do
    [ -f "$f" ] && ! [ -L "$f" ] || continue
    o=${f%.*}; o=${o##*.}
    case $o in ''|*[!0-9]*) continue;; esac
    alive "$o" || rm -f -- "$f"
  done
}
obstacle() {  # what keeps even root from replacing the file; $1: what a program said of it
  case $1 in *"Read-only file system"*) printf '%s' "$P is on a read-only file system"; return;; esac
  for w in "$P" "${P%/*}"; do
    a=$(lsattr -d -- "$w" 2>/dev/null) || continue
    case ${a%% *} in *i*|*a*) printf '%s' "$w is immutable (chattr)"; return;; esac
  done
}

# --- one at a time: the lock is on the folder itself, so no file is made and every user can hold it
MADE=
lock() {
  if command -v flock >/dev/null 2>&1; then
    exec 9< "$FOLDER" || fail forbidden "the folder $FOLDER cannot be opened"
    flock -w "$WAIT" 9 || fail locked "somebody else is changing $FOLDER"
    return
  fi
  k=$FOLDER/.trafficdeck.lock; t=0
  until mkdir "$k" 2>/dev/null; do
    o=$(cat "$k/pid" 2>/dev/null)
    [ -n "$o" ] && ! alive "$o" && { rm -rf -- "$k"; continue; }
    [ -z "$o" ] && [ -n "$(find "$k" -maxdepth 0 -mmin +1 2>/dev/null)" ] && { rm -rf -- "$k"; continue; }
    [ "$t" -lt "$WAIT" ] || fail locked "somebody else is changing $FOLDER (process $o)"
    t=$((t + 1)); sleep 1
  done
  MADE=$k; echo $$ > "$k/pid"
}
whole() {
  R=$(readlink -f -- "$P") || fail stale "$P is gone"
  [ "$R" = "$P" ] && [ -f "$R" ] || fail stale "$P is no longer a plain file of its own"
  while read -r _ _ _ _ m _; do
    [ "$m" = "$P" ] && fail refused "$P is mounted as a single file and cannot be replaced by renaming"
  done < /proc/self/mountinfo
  return 0
}
same() { sum "$P" && [ "$s" = "$E" ] || fail stale "$P was changed: sha256 is now $s"; }
receive() {
  if ! ( set -C; : > "$T" ) 2>/dev/null; then
    e=$( { : > "$T"; } 2>&1 ); o=$(obstacle "$e")
    [ -z "$o" ] || fail forbidden "$o"
    fail refused "no file can be made beside $P: $e"
  fi
  cp --attributes-only --preserve=all -- "$P" "$T" 2>/dev/null ||
    { chmod "$(stat -c %a -- "$P")" "$T"; chown "$(stat -c %u:%g -- "$P")" "$T" 2>/dev/null; }
  if [ "$i" -lt "$N" ]; then o=$( { dd bs=1 count="$L" 2>/dev/null > "$T"; } 2>&1 )
  else o=$( { cat > "$T"; } 2>&1 ); fi || fail space "$P: ${o##*: }"
  sum "$T" && [ "$s" = "$H" ] || fail truncated "$P: the new text did not arrive whole"
  [ "$(stat -c '%u:%g %a' -- "$T")" = "$(stat -c '%u:%g %a' -- "$P")" ] ||
    fail forbidden "owner and mode of $P cannot be kept by this user"
}
flush() { sync -- "$1" 2>/dev/null || sync; }
surroundings() {
  set -f
  [ -n "$MASTER" ] && [ -r "/proc/$MASTER/environ" ] && while IFS= read -r v; do
    n=${v%%=*}
    case $n in
      ''|PATH|IFS|PWD|LD_*|[0-9]*|*[!A-Za-z0-9_]*) continue;;
    esac
    for x in $UNSET; do case $n in $x) continue 2;; esac; done
    export "$n=${v#*=}"
  done <<EOT
$(tr '\000' '\n' < "/proc/$MASTER/environ")
EOT
  set +f
  [ -n "$CWD" ] && cd -- "$CWD"
  return 0
}

# --- the proxy's own check sees the candidate in a mount namespace of its own; nothing live is touched
bindings() { printf '%s\n%s\n' "$T" "$P"; }
preflight() {
  CHECKED=0
  [ -n "$VALIDATE" ] || return 0
  if [ "$ROOT" = 1 ] && unshare -m true 2>/dev/null; then
    o=$( ( surroundings; BIND=$(each bindings) VALIDATE=$VALIDATE unshare -m /bin/sh -c '
while IFS= read -r t && IFS= read -r p; do mount --bind "$t" "$p" || exit 99; done <<EOT
$BIND
EOT
eval "$VALIDATE"' ) 2>&1 9<&- )
    case $? in 0) CHECKED=1;; 99) ;; *) fail invalid "$o";; esac
  elif [ -n "$BESIDE" ]; then
    o=$( ( surroundings; eval "$BESIDE" ) 2>&1 9<&- ) || fail invalid "$o"
    CHECKED=1
  fi
}
children() (
  c=; { read -r c < "/proc/$MASTER/task/$MASTER/children"; } 2>/dev/null || :
  set -- $c
  IFS='
'; set -f
  for p in "$@"; do
    a=; { IFS= read -r a < "/proc/$p/cmdline"; } 2>/dev/null || :
    [ -n "$a" ] || continue
    for x in $ASIDE; do case $a in *"$x"*) continue 2;; esac; done
    printf '%s ' "$p"
  done
)
serving() {
  s=$(children)
  if [ "$BY" = joined ] && [ -z "$s" ]; then
    for d in /proc/[0-9]*; do
      c=; { read -r c < "$d/comm"; } 2>/dev/null && [ "$c" = "$NAME" ] && printf '%s ' "${d#/proc/}"
    done
    return
  fi
  printf '%s' "$s"
}
adopted() {
  new=0
  for p in $(serving); do
    case " $OLD " in *" $p "*) [ "$BY" = replaced ] && return 1;; *) new=$((new + 1));; esac
  done
  [ "$new" -gt 0 ]
}
proved() {
  [ "$BY" != answered ] || return 0
  end=$(( $(date +%s) + ADOPT ))
  while [ "$(date +%s)" -le "$end" ]; do
    if adopted; then
      [ "$BY" = replaced ] && return 0
      sleep 0.1 2>/dev/null || sleep 1
      adopted && return 0
    fi
    sleep 0.03 2>/dev/null || sleep 1
  done
  return 1
}
swap() {
  ln -- "$P" "$B" 2>/dev/null || cp -p -- "$P" "$B" || return 1
  e=$(mv -fT -- "$T" "$P" 2>&1) || { rm -f -- "$B"; return 1; }
  eval "S$i=1"; flush "${P%/*}/"
}
reload() {
  ( trap - HUP INT TERM PIPE; [ "$BY" != answered ] || surroundings; eval "$RELOAD" ) 2>&1 9<&-
}
unmoved() { sum "$B" && [ "$s" = "$E" ]; }

# --- back to the old file, where it is still ours that is there; what somebody else made of it meanwhile stays
FOREIGN=
ours() { sum "$1" && [ "$s" = "$H" ]; }
restore() {
  eval "m=\$S$i"; [ "$m" = 1 ] || return 0
  if ours "$P" && { ln -- "$P" "$T" 2>/dev/null || cp -p -- "$P" "$T"; }; then
    mv -fT -- "$B" "$P"
    if ours "$T"; then flush "${P%/*}/"; return 0; fi
    mv -fT -- "$T" "$P"; flush "${P%/*}/"  # it was changed in between: that is what was replaced
  fi
  FOREIGN="$FOREIGN $P"
  return 0
}
back() {  # kind, reason
  each restore
  [ -z "$FOREIGN" ] || fail foreign "$2; not put back, since somebody else has changed it meanwhile:$FOREIGN"
}
undo() { back "$@"; fail "$1" "$2"; }
again() {  # the old file is back: what serves must have read it, or be what served before
  [ "$(serving)" = "$OLD" ] && still=1 || still=0
  OLD=$(serving)
  o=$( reload ) && proved && return
  [ "$still" = 1 ] && [ "$(serving)" = "$OLD" ] && return
  fail unproved "$1; the old file is back, and nothing shows that $NAME has taken it"
}

i=1; while [ "$i" -le "$N" ]; do eval "S$i=0"; i=$((i + 1)); done
each names
lock
each sweep
each whole
each same
if [ "$RELOADS" = 1 ]; then
  [ -n "$RELOAD" ] || fail refused "$NAME does not run here, so nothing would load the new file"
  OLD=$(serving)
fi
each receive
preflight
sync_new() { flush "$T"; }
each sync_new
each same
each swap || {
  o=$(obstacle "$e"); why="$P could not be replaced: ${e##*: }"
  [ -z "$o" ] || undo forbidden "$o"
  undo refused "$why; the old file is in force"
}
each unmoved || undo stale "$P was changed while it was being replaced; that change is kept"
if [ -n "$VALIDATE" ] && [ "$CHECKED" = 0 ]; then
  o=$( ( surroundings; eval "$VALIDATE" ) 2>&1 9<&- ) || undo invalid "$o"
fi
if [ "$RELOADS" = 1 ]; then
  o=$( reload ) || {
    back reload "the reload command failed: $o"
    [ "$(serving)" = "$OLD" ] || again "the reload command failed: $o"
    fail reload "the reload command failed: $o"
  }
  proved || {
    back adoption "the reload was not adopted within $ADOPT s"
    again "the reload was not adopted within $ADOPT s"
    fail adoption "the reload was not adopted within $ADOPT s"
  }
fi
finish
verdict "OK" "${new:-0}"
"""
"""Variables: NAME of the program, BY (what shows that a reload was taken: `ports.Adoption`), ASIDE (parts of titles of
children that do not serve, a line each), UNSET (patterns of variables that a check must not see), N, P1.. (paths),
E1.. (expected sha256), H1.. (new sha256), L1.. (bytes), FOLDER (lock), WAIT and ADOPT (seconds), ROOT, RELOADS (1 or
0), RELOAD, VALIDATE, BESIDE (quoted words), MASTER (pid), CWD, VERDICT (a mark made up for this run). The new texts
follow on standard input. Answer, on a line that begins with the
mark: `OK`, then the number of new workers; or `FAIL kind`, then the reason; nothing is written or everything is put
back when it fails, where it is still ours: `foreign` names what is not, `unproved` says that what was put back is not
known to run. What a killed run left is taken away first. After `OK` the script goes on: what is put behind it reports.

A worker is new when it is not in OLD, the workers before the reload. `replaced`: no old worker serves any more (those
that finish their requests are aside). `joined`: the old worker finishes under the same name, so it is enough that a new
one stays. `answered`: the reload command waits and says it."""
