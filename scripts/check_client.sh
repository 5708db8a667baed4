#!/usr/bin/env bash
# Checks of the client: format, lint, types and tests (layers among them), after installing the tools.
# To format: npm --prefix tests/client_web run format
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools=tests/client_web
# npm records what it has installed in this file.
installed=$tools/node_modules/.package-lock.json
if [ ! -e "$installed" ] || [ "$tools/package-lock.json" -nt "$installed" ]; then
  npm --prefix "$tools" ci --silent --no-audit --no-fund
fi

"$tools/node_modules/.bin/biome" check --error-on-warnings \
  --config-path="$tools/biome_config.jsonc" client_web "$tools"
"$tools/node_modules/.bin/tsc" --project "$tools/tsconfig.json"
find "$tools" -name node_modules -prune -o -name "*.test.js" -print0 | xargs -0 node --test
