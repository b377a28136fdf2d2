#!/usr/bin/env bash
# One row of Memory-R1's Table 1 (arXiv 2508.19828v5): trains what the row trains on conv-26, and measures it on the test
# conversations. See docs/training.md for what it needs.
#
#   scripts/table_1.sh llama8b|qwen7b|qwen3b|qwen14b  rag|base|sft|ppo|grpo
#
#   MEMORY_R1_LOCOMO  LoCoMo's file, as published
#   SERVER            a vLLM with the backbone; one is started on GPU 1 where this is unset
#   JUDGE             MODEL@URL of the judge; without it, the table has no J
#   TRACES            for sft: an exported bank of a service whose model is to be imitated
#   OUT               folder of the results, runs/table_1
#   PRINT=1           print the commands, and run none
set -euo pipefail

usage() { sed -n '5,5s/^# *//p' "$0" >&2; exit 2; }
[ $# -eq 2 ] || usage
backbone=$1 row=$2

case $backbone in
  llama8b) config=llama8b_lora_1gpu model=meta-llama/Llama-3.1-8B-Instruct ;;
  qwen7b)  config=qwen7b_lora_1gpu  model=Qwen/Qwen2.5-7B-Instruct ;;
  qwen3b)  config=qwen7b_lora_1gpu  model=Qwen/Qwen2.5-3B-Instruct ;;
  qwen14b) config=qwen7b_lora_1gpu  model=Qwen/Qwen2.5-14B-Instruct ;;
  *) usage ;;
esac
case $row in rag | base | sft | ppo | grpo) ;; *) usage ;; esac

out=${OUT:-runs/table_1}/$backbone
server=${SERVER:-http://127.0.0.1:8001/v1}
base=$model@$server
common=(--config "$config" --set "model.name=$model" --data locomo)

run() {
  printf '%s\n' "$*"
  [ -n "${PRINT:-}" ] || "$@"
}

serve() {
  local command=(vllm serve "$model" --port 8001 --enable-lora --max-lora-rank 32)
  printf 'CUDA_VISIBLE_DEVICES=1 VLLM_ALLOW_RUNTIME_LORA_UPDATING=True %s &\n' "${command[*]}"
  [ -z "${PRINT:-}" ] || return 0
  CUDA_VISIBLE_DEVICES=1 VLLM_ALLOW_RUNTIME_LORA_UPDATING=True "${command[@]}" &
  local server_process=$!
  trap 'kill $server_process' EXIT
  until curl -sf "$server/models" >/dev/null; do
    kill -0 $server_process 2>/dev/null || { echo "the vLLM server ended" >&2; exit 1; }
    sleep 2
  done
}

# learn NAME ROLE METHOD options...: a step that is finished is not done again, one that was broken off goes on.
learn() {
  local folder=$out/$1 role=$2 method=$3
  shift 3
  if grep -qs '"finished": true' "$folder/run.json"; then return; fi
  local resume=()
  [ ! -f "$folder/run.json" ] || resume=(--resume)
  run memory-r1-train "$method" --role "$role" --out "$folder" "$@" "${resume[@]}"
}

measure() {
  local folder=$out/eval-$row
  local options=(--split test --untrained "$base" --out "$folder")
  [ -z "${JUDGE:-}" ] || options+=(--judge "$JUDGE")
  [ ! -f "$folder/config.json" ] || options+=(--resume)
  run memory-r1-train eval "${common[@]}" "${options[@]}" "$@"
}

[ -n "${SERVER:-}" ] || serve
manager=$out/$row-manager answerer=$out/$row-answerer
case $row in
  rag)  measure --rows baselines ;;
  base) measure --rows agents ;;
  sft)
    imitated=(--config "$config" --set "model.name=$model" --data traces --file "${TRACES:?names no exported bank}")
    learn sft-manager manager sft "${imitated[@]}"
    learn sft-answerer answerer sft "${imitated[@]}"
    measure --rows agents --manager "$manager@$server" --answerer "$answerer@$server"
    ;;
  ppo | grpo)
    learn "$row-manager" manager "$row" "${common[@]}" --extractor "$base" --manager "$base" --answerer "$base"
    learn "$row-answerer" answerer "$row" "${common[@]}" --extractor "$base" --manager "$manager@$server"
    measure --rows agents --manager "$manager@$server" --answerer "$answerer@$server"
    ;;
esac
