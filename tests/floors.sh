#!/bin/sh
# The floors of the house (DESIGN): a file includes only its own room and rooms on floors below. And every
# header compiles alone. Prints each violation; ends with 1 if there was one.
bad=0

# room: the rooms it may include
allowed() {
    case $1 in
    base) echo base ;;
    tensor) echo base tensor ;;
    tensor/cpu) echo base tensor tensor/cpu ;;
    format) echo base tensor format ;;
    media) echo base tensor media ;;
    text) echo base tensor text ;;
    score) echo base tensor format media text score ;;
    data) echo base tensor format media text data ;;
    model) echo base tensor format media text model ;;
    train) echo base tensor format media text data model train ;;
    task) echo base tensor format media text score data model task ;;
    recipe) echo base tensor format media text score data model task train recipe ;;
    synth) echo base tensor format media text score data model synth ;;
    esac
}

for file in $(find libcore -mindepth 2 -name '*.[ch]'); do
    room=$(dirname "${file#libcore/}")
    for included in $(sed -n 's/^#include "\(.*\)\/[^/]*"$/\1/p' "$file"); do
        case " $(allowed "$room") " in
        *" $included "*) ;;
        *) echo "$file: $room may not include $included"; bad=1 ;;
        esac
    done
done

# only PLACES may know HEADER
only() {
    pattern=$1; shift
    for file in $(grep -rlE "^#include <($pattern)" libcore tools); do
        case " $* " in *" $file "*) ;; *) echo "$file: may not include <$pattern>"; bad=1 ;; esac
    done
}
only 'libav|libsw' libcore/media/decode.c libcore/media/demux.c libcore/media/demux.h libcore/media/convert.c \
    libcore/media/convert.h libcore/media/encode.c libcore/media/sound.c
only 'cjson' libcore/base/json.c
only 'openssl' libcore/base/hash.c
only 'png' libcore/media/picture.c
only 'mpi' libcore/train/dist.c
only 'cuda|nccl' none
for file in $(grep -rlE '^#include <(immintrin|arm_neon|cblas)' libcore tools); do
    case $file in libcore/tensor/cpu/*) ;; *) echo "$file: vector instructions belong to tensor/cpu"; bad=1 ;; esac
done

for header in $(find libcore tools -name '*.h' -not -name '*.inc.h'); do
    # shellcheck disable=SC2086
    ${CC:-gcc} -std=c11 -fsyntax-only -Wall -Wextra -Wno-unused-function -Wno-unused-variable -Wno-unused-const-variable \
        $(eval echo "$CPPFLAGS") -Itools -x c "$header" || { echo "$header: does not compile alone"; bad=1; }
done
[ $bad = 0 ] && echo "floors and headers: good"
exit $bad
