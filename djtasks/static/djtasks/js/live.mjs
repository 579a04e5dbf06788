/* What the task browser does with JavaScript, and can do without: it keeps the page up to date,
   copies texts, selects all rows, and folds the filters where there is little room. */

const EVERY = 5000;
const REMEMBERED = "djtasks.live";

const button = document.querySelector("[data-live-switch]");
const status = document.querySelector("[data-live-status]");
let timer = 0;
let fetching = null;

function isOn() {
    try {
        return localStorage.getItem(REMEMBERED) !== "off";
    } catch {
        return true; // storage is forbidden: as if nothing was remembered
    }
}

function remember(on) {
    try {
        localStorage.setItem(REMEMBERED, on ? "on" : "off");
    } catch {
        // it holds for this page, then
    }
}

function isInUse() {
    const focused = document.activeElement;
    return (
        document.hidden ||
        document.querySelector("[data-live] input:checked") !== null ||
        (focused !== null && focused.matches("input, select, textarea")) ||
        !(getSelection()?.isCollapsed ?? true)
    );
}

function openDetails(fragment) {
    return new Set([...fragment.querySelectorAll("details[open][id]")].map((details) => details.id));
}

const FOCUSABLE = "a[href], button, summary, [tabindex]";

/* What a fragment says, without the tokens of its forms, which are new in every answer. */
function said(fragment) {
    return fragment.innerHTML.replace(/(name="csrfmiddlewaretoken" value=")[^"]*/g, "$1");
}

function replace(fragment, fresh) {
    if (said(fragment) === said(fresh)) {
        return;
    }
    const open = openDetails(fragment);
    const focused = [...fragment.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
    const scrolled = [...fragment.querySelectorAll("[data-scroll]")].map((area) => [area.scrollLeft, area.scrollTop]);
    fragment.replaceChildren(...document.importNode(fresh, true).childNodes);
    for (const id of open) {
        document.getElementById(id)?.setAttribute("open", "");
    }
    fragment.querySelectorAll("[data-scroll]").forEach((area, index) => {
        [area.scrollLeft, area.scrollTop] = scrolled[index] ?? [0, 0];
    });
    if (focused >= 0) {
        fragment.querySelectorAll(FOCUSABLE)[focused]?.focus({ preventScroll: true });
    }
    prepare(fragment);
}

async function refresh() {
    fetching = new AbortController();
    const response = await fetch(location.href, {
        headers: { "X-Djtasks-Live": "1" },
        signal: fetching.signal,
    });
    if (!response.ok || response.redirected) {
        throw new Error(response.statusText || "redirected");
    }
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (isInUse()) {
        return; // somebody began to select while it was fetched
    }
    for (const fragment of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(fragment.id);
        if (fresh) {
            replace(fragment, fresh);
        }
    }
    count();
    const summary = page.querySelector("[data-live-summary]")?.textContent.trim();
    if (status && summary !== undefined && status.textContent !== summary) {
        status.textContent = summary;
    }
}

async function tick() {
    if (!isInUse()) {
        try {
            await refresh();
            button.removeAttribute("data-lost");
            button.title = "";
        } catch (error) {
            if (error.name !== "AbortError") {
                button.setAttribute("data-lost", "");
                button.title = button.dataset.lostText;
            }
        }
    }
    schedule();
}

function schedule() {
    clearTimeout(timer);
    timer = isOn() ? setTimeout(tick, EVERY) : 0;
}

function show() {
    button.setAttribute("aria-pressed", String(isOn()));
}

function prepare(root) {
    for (const copy of root.querySelectorAll("[data-copy]")) {
        copy.hidden = !navigator.clipboard;
    }
    for (const all of root.querySelectorAll("[data-all]")) {
        all.hidden = false;
    }
}

document.addEventListener("click", async (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) {
        const texts = document.querySelectorAll(`[data-text="${CSS.escape(copy.dataset.copy)}"]`);
        await navigator.clipboard.writeText([...texts].map((text) => text.textContent).join(""));
        const label = copy.textContent;
        copy.textContent = copy.dataset.done;
        setTimeout(() => (copy.textContent = label), 1500);
    }
});

function count() {
    const counter = document.querySelector("[data-count]");
    if (counter) {
        const boxes = [...document.querySelectorAll("input[data-row]")];
        const chosen = boxes.filter((box) => box.checked).length;
        counter.textContent = counter.dataset.count.replace("%1", chosen).replace("%2", boxes.length);
        const all = document.querySelector("[data-all]");
        if (all) {
            all.checked = chosen > 0 && chosen === boxes.length;
            all.indeterminate = chosen > 0 && chosen < boxes.length;
        }
    }
}

document.addEventListener("change", (event) => {
    if (event.target.matches("[data-all]")) {
        for (const box of document.querySelectorAll("input[data-row]")) {
            box.checked = event.target.checked;
        }
    }
    if (event.target.matches("[data-all], [data-row]")) {
        count();
    }
});

prepare(document);
count();
// On a small screen the filters would come before all else.
for (const filters of document.querySelectorAll("[data-fold-when-small]")) {
    filters.open = !matchMedia("(max-width: 1024px)").matches;
}
if (button) {
    button.hidden = false;
    show();
    button.addEventListener("click", () => {
        remember(!isOn());
        fetching?.abort();
        show();
        schedule();
    });
    document.addEventListener("visibilitychange", () => {
        if (!document.hidden && isOn()) {
            clearTimeout(timer);
            tick();
        }
    });
    schedule();
}
