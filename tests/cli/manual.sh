#!/bin/sh
# The manual's examples, run as they stand. In the literal displays of man/*.[157] a line that begins with
# "$ " is a command (a trailing backslash or an open here-document continues it); the lines up to the next
# command are what it prints. Lines that begin with "% " need files that are not here: nothing of such a
# display's command is run. Each page has a folder of its own, with a tiny model as $EGO_MODEL,
# kitchen.mp4, narrations.jsonl and world/ (ego-synth's, where that is built); commands of a page see each
# other's files.
#
# Every command must end with status 0 (a page that means another one prints it: "; echo $?") and print
# what the page shows, up to numbers: JSON must have the same members in the same order with values of the
# same kind and the same strings; digits in strings and text count as alike; "..." stands for any rest; a
# shown line that begins with a blank continues the one before. Commands without shown lines may print what
# they like. Beside that a page refers to pages that exist, and knows the options that its tool's help names.
. "$(dirname "$0")/lib.sh"
need ego-embed ego-model jq
pages=${*:-$(ls "$repo"/man/*.[157])}

tiny_model tiny.safetensors
small_video kitchen.mp4 || skip "nothing here makes a video"
printf '%s\n' '{"text":"#C C washes a cup"}' '{"text":"#C C cuts an apple"}' >narrations.jsonl
[ ! -x "$bin/ego-synth" ] || ego-synth -q world --videos 1 --minutes 0.5 --split test >"$out" 2>"$err" || fail "ego-synth" "$(cat "$err")"

# A page's steps: N.sh the command, N.shown what it prints, if anything.
steps() { # PAGE DIRECTORY
    sed -e 's/\\(aq/'"'"'/g; s/\\(dq/"/g; s/\\(ga/`/g; s/\\-/-/g; s/\\&//g; s/\\e/\\/g' "$1" | awk -v to="$2" '
        function name(kind) { return sprintf("%s/%03d.%s", to, n, kind) }
        /^\.Bd -literal/ { display = 1; into = ""; next }
        /^\.Ed/ { display = 0; next }
        /^\.Dl \$ / { n++; print substr($0, 7) > name("sh"); next }
        !display { next }
        open && mark != "" { print > into; if ($0 == mark) open = 0; next }
        open { print > into; open = /\\$/; next }
        /^\$ / {
            n++
            into = name("sh")
            text = substr($0, 3)
            print text > into
            mark = ""
            if (match(text, /<<[A-Z]+/)) mark = substr(text, RSTART + 2, RLENGTH - 2)
            open = mark != "" || text ~ /\\$/
            next
        }
        /^% / { into = ""; next }
        into != "" { into = name("shown"); if (/^ /) printf "%s", substr($0, 2) > into; else printf "%s%s", had[into]++ ? "\n" : "", $0 > into }'
}

# One line shown fits one line found.
fits='
def digits: gsub("[0-9]+"; "0");
def fits($s; $f):
    if $s == "..." then true
    elif ($s | type) != ($f | type) then false
    elif ($s | type) == "string" then
        if ($s | endswith("...")) then ($s[:-3] | digits) as $p | $f | digits | startswith($p) else ($s | digits) == ($f | digits) end
    elif ($s | type) == "array" then
        ($s | index(["..."])) as $cut
        | if $cut then $f | length >= $cut else ($s | length) == ($f | length) end
          and all(range($cut // ($s | length)); . as $i | fits($s[$i]; $f[$i]))
    elif ($s | type) == "object" then
        ($s | keys_unsorted | index("...")) as $cut
        | ($s | keys_unsorted[:$cut]) == ($f | keys_unsorted[:$cut // length])
          and all($s | keys_unsorted[:$cut][]; . as $k | fits($s[$k]; $f[$k]))
    else true end;
fits($shown; $found)'

line_fits() { # SHOWN FOUND
    [ "$1" != "$2" ] || return 0
    case $1 in
    '{'* | '['*)
        shown=$(printf '%s' "$1" | sed 's/,\.\.\.\]/,"..."]/g; s/, *\.\.\.}/,"...":0}/g')
        [ "$(jq -n --argjson shown "$shown" --argjson found "$2" "$fits" 2>&1)" = true ]
        ;;
    *[!0-9]*)
        shown=$(printf '%s' "$1" | sed 's/[0-9][0-9]*/0/g')
        found=$(printf '%s' "$2" | sed 's/[0-9][0-9]*/0/g')
        case $shown in
        *...) case $found in "${shown%...}"*) return 0 ;; esac ;;
        esac
        [ "$shown" = "$found" ]
        ;;
    *) false ;; # a number by itself is meant exactly
    esac
}

check_output() { # WHAT SHOWN FOUND
    exec 3<"$2" 4<"$3"
    while IFS= read -r want <&3 || [ -n "$want" ]; do
        [ "$want" != ... ] || break
        IFS= read -r have <&4 || have='(nothing)'
        line_fits "$want" "$have" || fail "$1" "expected $want" "found    $(printf '%s' "$have" | cut -c1-300)"
    done
    [ "$want" = ... ] || ! IFS= read -r have <&4 || fail "$1" "expected no more lines" "found    $(printf '%s' "$have" | cut -c1-300)"
    exec 3<&- 4<&-
}

command -v mandoc >/dev/null || skip_part "mandoc's lint"
commands=0
for page in $pages; do
    name=${page##*/}
    command -v mandoc >/dev/null && { mandoc -T lint -W warning "$page" >"$out" 2>&1 || fail "$name" "$(cat "$out")"; }
    for other in $(sed -n 's/^\.Xr \(ego-[a-z]*\) \([157]\).*/\1.\2/p' "$page"); do
        [ -e "$repo/man/$other" ] || fail "$name" "expected man/$other, which it refers to" "found    no such page"
    done
    # Each option of the tool's own that its help knows.
    tool=${name%.1}
    [ ! -x "$bin/$tool" ] || for option in $("$tool" -h | sed '/^common options/,$d' | sed -n 's/^  .*--\([a-z-]*\).*/\1/p'); do
        grep -q -- "^\.It Fl .*-$option\>" "$page" || fail "$name" "expected --$option, which $tool -h names" "found    nothing of it"
    done
    mkdir -p "pages/$name" "steps/$name"
    ln tiny.safetensors kitchen.mp4 narrations.jsonl "pages/$name/" && mv "pages/$name/tiny.safetensors" "pages/$name/.tiny.safetensors"
    [ ! -d world ] || cp -R world "pages/$name/world"
    EGO_MODEL=$work/pages/$name/.tiny.safetensors
    export EGO_MODEL
    steps "$page" "$work/steps/$name"
    for step in "steps/$name"/*.sh; do
        [ -e "$step" ] || continue
        case $(cat "$step") in *world/*) [ -d world ] || { skip_part "ego-synth"; continue; } ;; esac
        commands=$((commands + 1))
        (cd "pages/$name" && sh "$work/$step") >"$out" 2>"$err" </dev/null
        status=$?
        what="$name: $(head -n 1 "$step")"
        [ "$status" -eq 0 ] || fail "$what" "expected exit status 0, found $status" "$(tail -n 3 "$err")"
        [ ! -e "${step%.sh}.shown" ] || check_output "$what" "${step%.sh}.shown" "$out"
    done
done
[ "$commands" -gt 0 ] || fail "the manual" "expected commands to run, found none"
echo "$commands commands of the manual run"
finish
