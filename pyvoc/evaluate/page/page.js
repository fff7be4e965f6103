"use strict";
// One player at a time. A system that takes over from another one of its clip goes on at the same
// place, which is how small differences are heard.
const clips = [...document.querySelectorAll("section")];
const playersOf = (clip) => [...clip.querySelectorAll("audio")];
const players = clips.flatMap(playersOf);
let current = null; // the player that was started last

function start(player) {
  player.focus({ preventScroll: true }); // the keys go on with this clip
  player.play().catch(() => {}); // it was paused again before it began
}

function showPlace(player) {
  const share = player.currentTime / player.closest("section").dataset.seconds;
  player.closest("figure").querySelector("i").style.left = `${100 * Math.min(share, 1)}%`;
}

function follow() {
  if (current.paused) return;
  showPlace(current);
  requestAnimationFrame(follow);
}

for (const player of players) {
  const figure = player.closest("figure");
  const clip = player.closest("section");
  player.addEventListener("play", () => {
    const takesOver = current && current !== player && !current.paused && clip.contains(current);
    if (takesOver) player.currentTime = current.currentTime;
    current = player;
    for (const other of players) {
      if (other !== player) other.pause();
      other.closest("figure").classList.toggle("heard", other === player);
    }
    figure.classList.add("playing");
    follow();
  });
  player.addEventListener("pause", () => {
    figure.classList.remove("playing");
    showPlace(player);
  });
  player.addEventListener("seeked", () => showPlace(player));
  figure.querySelector(".picture").addEventListener("click", (event) => {
    if (current) current.pause();
    const box = event.currentTarget.getBoundingClientRect();
    player.currentTime = ((event.clientX - box.left) / box.width) * clip.dataset.seconds;
    start(player);
  });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !clips.length) return;
  const focused = document.activeElement;
  if (/^[1-9]$/.test(event.key)) {
    const clip = focused.closest("section") || (current && current.closest("section")) || clips[0];
    const player = playersOf(clip)[event.key - 1];
    if (player) start(player);
  } else if (event.key === " " && focused === document.body && current) {
    event.preventDefault(); // a player that has the focus does this itself
    if (current.paused) start(current);
    else current.pause();
  }
});
