#!/bin/sh
# Makes the test videos in DIR with the ffmpeg command line tool: make_media.sh DIR [FILE...]
# Only the files named, when some are; the ones they are made from come along.
#
# Every frame carries its number as ten bars from the left, the lowest bit first: white is one. The lower
# half shows the opposite, so that a reader knows when a frame is no such picture. 300 frames, 160 x 96,
# 30 a second unless the name says otherwise. What this ffmpeg cannot encode is named on stderr and
# missing afterwards.
set -u
dir=${1:?usage: make_media.sh DIR [FILE...]}
shift
only=" $* "
command -v ffmpeg >/dev/null || { echo "make_media.sh: no ffmpeg command" >&2; exit 77; }
mkdir -p "$dir/pictures" && cd "$dir" || exit 1

ff() { ffmpeg -nostdin -v error -y "$@"; }
missing() { echo "make_media.sh: $1 could not be made" >&2; rm -f "$1"; }
wanted() { case $only in *" $1 "* | "  ") return 0 ;; *) return 1 ;; esac; }
# make FILE OPTIONS: the bars, encoded.
make() {
    out=$1
    shift
    wanted "$out" || return 0
    ff -i bars.nut "$@" "$out" || missing "$out"
}

bars="if(mod(floor(N/pow(2,floor(X*10/W))),2)-gte(Y,H/2),235,16)"
ff -f lavfi -i "color=black:s=160x96:r=30,geq=lum='$bars':cb=128:cr=128" -frames:v 300 -c:v ffv1 bars.nut ||
    exit 1
x264="-c:v libx264 -preset ultrafast -tune fastdecode -crf 23"

make h264.mp4 $x264 -g 48 -bf 3 -x264-params b-pyramid=normal:scenecut=0 -movflags +faststart
make opengop.mkv $x264 -g 40 -bf 3 -x264-params open-gop=1:scenecut=0
make onegop.mp4 $x264 -g 1000 -bf 2 -x264-params scenecut=0
make refresh.mkv $x264 -g 40 -x264-params intra-refresh=1:scenecut=0
make hevc.mkv -c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=40:bframes=3
make mpeg4.avi -c:v mpeg4 -qscale:v 3 -bf 2 -g 30
make h264.avi $x264 -bf 2 -g 30
make mjpeg.avi -c:v mjpeg -qscale:v 3 -pix_fmt yuvj420p
make vp9.webm -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 60 -b:v 300k
make h264.ts $x264 -bf 2 -g 30
make mpeg2.ts -c:v mpeg2video -qscale:v 3 -bf 2 -g 15
make tenth.gif -vf fps=10 # the numbers 1, 4, 7, ...
make vfr.mp4 -vf "setpts='(N+2*floor(N/3))/30/TB'" -vsync passthrough -enc_time_base -1 $x264 -g 48 -bf 2
make vfr.mkv -vf "setpts='(N+2*floor(N/3))/30/TB'" -vsync passthrough -enc_time_base -1 $x264 -g 48 -bf 2
make ten.mkv $x264 -pix_fmt yuv420p10le -g 48
make full.mp4 $x264 -pix_fmt yuvj420p -color_range pc -g 48
make odd.mp4 -vf scale=161:97:flags=neighbor $x264 -pix_fmt yuv444p -g 48
make odd.webm -vf scale=161:97:flags=neighbor -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 60 -b:v 300k
make gray.mkv -pix_fmt gray -c:v ffv1
make alpha.mov -frames:v 60 -pix_fmt argb -c:v qtrle
make frag.mp4 $x264 -bf 2 -g 30 -movflags frag_keyframe+empty_moov
make pictures/%03d.png -frames:v 40
# A chunk of 600 s for chunked sets, one frame a second.
if wanted chunk.mp4; then
    ff -f lavfi -i "color=black:s=160x96:r=1,geq=lum='$bars':cb=128:cr=128" -frames:v 600 $x264 -bf 2 chunk.mp4 ||
        missing chunk.mp4
fi
# From 3.5 s on without encoding again: the key frame is at 3.2 s, an edit list hides what is before.
if wanted edit.mp4; then ff -ss 3.5 -i h264.mp4 -c copy edit.mp4 || missing edit.mp4; fi
[ "$only" = "  " ] || exit 0

# Written to a pipe: no index, no duration in the header.
ffmpeg -nostdin -v error -i bars.nut $x264 -bf 2 -g 30 -f matroska - >nocues.mkv || missing nocues.mkv
# The sound begins first.
sound="-f lavfi -i sine=frequency=440:duration=12"
ff $sound -itsoffset 1.5 -i h264.mp4 -map 1:v -map 0:a -c:v copy -c:a mp2 late.ts || missing late.ts
ff $sound -itsoffset 1.5 -i h264.mp4 -map 1:v -map 0:a -c:v copy -c:a mp2 late.mkv || missing late.mkv
ff $sound -itsoffset 1.5 -i h264.mp4 -map 1:v -map 0:a -c:v copy -c:a aac late.mp4 || missing late.mp4

# The size changes and the clock starts again after 60 frames.
ff -i bars.nut -frames:v 60 $x264 -bf 2 part1.ts && ff -ss 2 -i bars.nut -frames:v 60 -s 320x192 $x264 -bf 2 part2.ts &&
    cat part1.ts part2.ts >joined.ts || missing joined.ts
rm -f part1.ts part2.ts

# Streams in mp4, its tables in front: damage behind them is the stream's alone.
for file in opengop.mkv hevc.mkv vp9.webm refresh.mkv ten.mkv; do
    [ -f "$file" ] && { ff -i "$file" -c copy -movflags +faststart "in_${file%.*}.mp4" || missing "in_${file%.*}.mp4"; }
done

# Cut short: 60 percent of the bytes.
for file in h264.mp4 opengop.mkv h264.ts mpeg4.avi; do
    [ -f "$file" ] && head -c $(($(wc -c <"$file") * 6 / 10)) "$file" >"cut_$file"
done

# Colours: one of (200, 60, 30) under each matrix, said or unsaid. name height matrix tag
colour() {
    ff -f lavfi -i "color=0xC83C1E:s=64x$2:r=10,format=gbrp,scale=out_color_matrix=$3:out_range=$4,format=$5" -frames:v 2 \
        -c:v libx264 -preset ultrafast -qp 4 $6 "colour_$1.mp4" || missing "colour_$1.mp4"
}
colour unsaid_480 480 bt601 tv yuv444p ""
colour unsaid_720 720 bt709 tv yuv444p ""
colour 601_720 720 bt601 tv yuv420p "-colorspace smpte170m"
colour 709_480 480 bt709 tv yuv420p "-colorspace bt709"
colour 2020_480 480 bt2020 tv yuv420p10le "-colorspace bt2020nc"
colour full_480 480 bt601 pc yuv420p "-color_range pc"
exit 0
