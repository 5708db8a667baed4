// Answers each `{id, ms}` with its id after that time.

addEventListener("message", ({ data: { id, ms } }) => {
  setTimeout(() => postMessage(id), ms);
});
