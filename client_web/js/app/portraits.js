// Rendered portraits of the avatars: on their cards, and the chosen one on the stage.

export class Portraits {
  #streams;
  #cards;
  #stage;
  /** @type {Map<string, string>} address by avatar */ #addresses = new Map();
  #chosen = "";

  /**
   * @param {Pick<import("../connection/published_streams.js").PublishedStreams, "portrait">} streams
   * @param {Pick<import("../panels/avatar_cards.js").AvatarCards, "showPortrait">} cards
   * @param {HTMLImageElement} stage
   */
  constructor(streams, cards, stage) {
    this.#streams = streams;
    this.#cards = cards;
    this.#stage = stage;
  }

  /**
   * Load the portraits, the chosen one first. An avatar whose portrait cannot be loaded has none.
   *
   * @param {readonly string[]} avatars ids
   * @param {string} chosen
   */
  async load(avatars, chosen) {
    this.#chosen = chosen;
    const others = avatars.filter((id) => id !== chosen);
    for (const id of [chosen, ...others]) {
      const portrait = await this.#streams.portrait(id).catch(() => null);
      if (!portrait) continue;
      const address = URL.createObjectURL(portrait);
      this.#addresses.set(id, address);
      this.#cards.showPortrait(id, address);
      if (id === this.#chosen) this.choose(id);
    }
  }

  /**
   * Show an avatar on the stage.
   *
   * @param {string} avatar id
   */
  choose(avatar) {
    this.#chosen = avatar;
    const address = this.#addresses.get(avatar);
    this.#stage.hidden = !address;
    if (address) this.#stage.src = address;
  }
}
