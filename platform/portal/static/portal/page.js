// Small enhancements, bound by data attributes. Every page works without them.
"use strict";

// a file field that also takes dropped files, names the chosen one and shows a still
function dropZone(zone) {
  const input = zone.querySelector("input[type=file]");
  const title = zone.querySelector("[data-drop-title]");
  const preview = zone.querySelector("[data-drop-preview]");
  const show = () => {
    const file = input.files[0];
    zone.classList.toggle("filled", Boolean(file));
    if (file) title.textContent = file.name;
    if (!preview) return;
    preview.replaceChildren();
    if (file && file.type.startsWith("image/")) drawStill(file, preview);
  };
  input.addEventListener("change", show);
  for (const name of ["dragenter", "dragover"]) {
    zone.addEventListener(name, (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
  }
  for (const name of ["dragleave", "drop"]) zone.addEventListener(name, () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    if (!event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    show();
  });
  show();
}

// a canvas needs no blob: address, which the content security policy forbids
async function drawStill(file, place) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { resizeHeight: 320, resizeQuality: "medium" });
  } catch {
    return; // not a picture this browser reads: the server will say so
  }
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  place.replaceChildren(canvas);
}

// shows a slider's value beside it: a number, or one of several words
function slider(input) {
  const output = input.closest(".field").querySelector("output");
  const words = input.dataset.showsValue ? input.dataset.showsValue.split("|") : null;
  const show = () => {
    const value = Number(input.value);
    output.textContent = words ? words[value] : value.toFixed(2);
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", show);
  if (input.form) input.form.addEventListener("reset", () => setTimeout(show)); // after the values are back
  show();
}

// the answer to a changed setting carries a still, which is drawn where the last one is
function trial(form) {
  const canvas = form.querySelector("[data-still]");
  form.addEventListener("htmx:afterSwap", (event) => {
    const answer = event.detail.target.querySelector("[data-png]");
    if (answer) drawPng(answer.dataset.png, answer.dataset.label, canvas);
  });
  form.addEventListener("reset", () => setTimeout(() => form.dispatchEvent(new Event("input", { bubbles: true }))));
}

async function drawPng(encoded, label, canvas) {
  const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  canvas.setAttribute("aria-label", label);
}

function uploads(form) {
  const bar = form.querySelector("progress.upload");
  form.addEventListener("htmx:xhr:progress", (event) => {
    if (!event.detail.lengthComputable) return;
    bar.hidden = false;
    bar.value = (100 * event.detail.loaded) / event.detail.total;
    // nothing tells how long the server will look at the file
    if (event.detail.loaded === event.detail.total) bar.removeAttribute("value");
  });
  form.addEventListener("htmx:afterRequest", () => {
    bar.hidden = true;
  });
}

// answers that are no page of ours: the network, or a fault on the server
function failures() {
  const tell = (event) => {
    const target = event.detail.target;
    if (!target || event.detail.shouldSwap || target.id === "job") return;
    const box = document.createElement("div");
    box.className = "problem";
    box.setAttribute("role", "alert");
    box.textContent = "The server did not answer as it should. Nothing was lost here: try again in a moment.";
    target.replaceChildren(box);
  };
  document.body.addEventListener("htmx:responseError", (event) => {
    if (event.detail.xhr.status >= 500) tell(event);
  });
  document.body.addEventListener("htmx:sendError", tell);
}

// consent is asked for again at each request: a player on an open page may be turned away at any time
function turnedAway(event) {
  const video = event.target;
  if (!(video instanceof HTMLVideoElement) || !video.hasAttribute("data-released")) return;
  video.hidden = true;
  video.nextElementSibling.hidden = false;
}

failures();
document.addEventListener("error", turnedAway, true); // error events of media do not bubble
function bind(place) {
  place.querySelectorAll("[data-drop-zone]").forEach(dropZone);
  place.querySelectorAll("[data-shows-value]").forEach(slider);
  place.querySelectorAll("[data-uploads]").forEach(uploads);
  place.querySelectorAll("[data-trial]").forEach(trial);
}

bind(document);
// what htmx brings in later
document.body.addEventListener("htmx:load", (event) => {
  if (event.target !== document.body) bind(event.target);
});
