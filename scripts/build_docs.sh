#!/usr/bin/env bash
# The documentation as a site: build/docs/site. A link that leads nowhere is an error.
source "$(dirname "$0")/common.sh"
rm -rf build/docs
python scripts/docs_pages.py build/docs/pages
# Material for MkDocs advertises at each build; the site has no such thing.
NO_MKDOCS_2_WARNING=1 python -m mkdocs build --quiet --strict --config-file mkdocs.yml
echo "build/docs/site: $(find build/docs/site -name '*.html' | wc -l) pages"
