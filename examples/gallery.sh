#!/usr/bin/env bash
# Makes every picture of README and docs/gallery again, the first result of each command, with one seed.
# Takes about a quarter of an hour on 2 cores.
set -eu
cd "$(dirname "$0")/.."
danqing=.venv/bin/danqing
photo=$(.venv/bin/python -c 'import sklearn.datasets as d, pathlib as p; print(p.Path(d.__file__).parent / "images" / "china.jpg")')
flower=$(dirname "$photo")/flower.jpg
paint() { "$danqing" stylize "$@" --seed 7 --size 640 --force --quiet; }

mkdir -p docs/images docs/gallery
cp "$photo" docs/images/photo.jpg
for style in van-gogh ukiyo-e shanshui-ink monet malevich shanshui-blue-green; do
    paint "$photo" --style "$style" -o "docs/images/patch-$style.jpg"
    paint "$photo" --style "$style" --method fast -o "docs/images/fast-$style.jpg"
done
for style in van-gogh ukiyo-e shanshui-ink; do
    paint "$photo" --style "$style" --method neural -o "docs/images/neural-$style.jpg"
done
paint "$flower" --style tonalism -o docs/images/patch-flower-tonalism.jpg
paint "$photo" --style van-gogh --style monet --mix 0.5,0.5 --keep-colors -o docs/images/patch-keep-colors.jpg
"$danqing" evaluate stylize --force -o docs/gallery/stylize-sheet.jpg
