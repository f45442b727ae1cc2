#include "task/unrelated.h"

#include "base/hash.h"
#include "base/lines.h"

#include <stdlib.h>
#include <string.h>

enum {
    MOST = 4096,
    LEAST = 19, /* below, not even a match above all of them would be likely */
    LONGEST = 4096,
    BATCH = 32
};

/* One person's life does not hold all of this. */
static const char *const builtin[] = {
    "#C C paddles the kayak past the buoy",
    "#C C tightens the strings of the violin",
    "#C C lowers the anchor over the side of the boat",
    "#C C brushes the mane of the horse",
    "#C C throws the bowling ball down the lane",
    "#C C signs the papers at the counter of the bank",
    "#C C loads the film into the camera",
    "#C C shears the wool off the sheep",
    "#C C waters the orchids in the greenhouse",
    "#C C scans the luggage at the airport",
    "#C C lifts the barbell from the rack",
    "#C C ties the rope to the climbing harness",
    "#C C pours the molten metal into the mould",
    "#C C counts the coins in the cash register",
    "#C C moves the bishop across the chess board",
    "#C C steers the tractor along the furrow",
    "#C C takes the blood pressure of the patient",
    "#C C knots the tie in front of the mirror",
    "#C C deals the cards to the players",
    "#C C reels in the fishing line",
    "#C C lights the candles on the altar",
    "#C C glues the wing to the model plane",
    "#C C raises the sail of the dinghy",
    "#C C turns the pages of the atlas",
    "#C C paints the eyebrows of the doll",
    "#C C stamps the passport of the traveller",
    "#C C pumps air into the tyre of the bicycle",
    "#C C picks the grapes from the vine",
    "#C C blows into the trumpet",
    "#C C presses the buttons of the elevator",
    "#C C folds the parachute on the floor",
    "#C C lays the bricks of the garden wall",
    "#C C feeds the penguins at the zoo",
    "#C C rolls the dice over the felt",
    "#C C places the microscope slide under the lens",
    "#C C swings the golf club on the tee",
    "#C C types on the keyboard of the laptop",
    "#C C drags the sledge up the snowy hill",
    "#C C bandages the leg of the dog",
    "#C C pushes the shopping trolley past the shelves",
    "#C C plants the tulip bulbs in the flower bed",
    "#C C draws the blueprint with a ruler",
    "#C C rubs chalk on the billiard cue",
    "#C C opens the hatch of the submarine",
    "#C C inflates the balloons for the birthday",
    "#C C holds the railing of the ferry",
    "#C C climbs the ladder of the lighthouse",
    "#C C films the parade from the balcony",
    "#C C tunes the piano in the hall",
    "#C C welds the pipes in the trench",
    "#C C fills the crossword with a pencil",
    "#C C puts the letter in the mailbox",
    "#C C sharpens the blades of the ice skates",
    "#C C saddles the camel in the desert",
    "#C C rings the bell of the church",
    "#C C cleans the aquarium with a sponge",
    "#C C hammers the horseshoe on the anvil",
    "#C C rows the boat across the lake",
    "#C C removes the splinter with tweezers",
    "#C C throws the frisbee over the beach",
    "#C C carries the stretcher to the ambulance",
    "#C C plugs the cable into the server rack",
    "#C C weaves the carpet on the loom",
    "#C C harvests the honey from the beehive",
    "#C C tosses the hay with a pitchfork",
    "#C C buckles the seat belt of the airplane",
    "#C C photographs the giraffe from the jeep",
    "#C C strikes the gong with a mallet",
    "#C C puts the telescope on the tripod",
    "#C C sorts the stamps in the album",
    "#C C winds the grandfather clock",
    "#C C dusts the skeleton in the museum",
    "#C C fastens the ski boots",
    "#C C presses the pedal of the sewing machine",
    "#C C measures the temperature of the kiln",
    "#C C bounces the basketball on the court",
    "#C C drills a hole into the ice of the lake",
    "#C C writes the formula on the blackboard",
    "#C C pulls the curtain of the puppet theatre",
    "#C C straps the baby into the car seat",
    "#C C digs the trench for the pipeline",
    "#C C hangs the paintings in the gallery",
    "#C C checks the tickets of the passengers",
    "#C C shuffles the vinyl records in the shop",
    "#C C shoots the arrow at the target",
    "#C C hoists the flag on the pole",
    "#C C shaves the beard with a razor",
    "#C C applies lipstick to the model",
    "#C C flips the switch of the generator",
    "#C C releases the pigeon from the cage",
    "#C C polishes the hood of the taxi",
    "#C C inserts the cartridge into the game console",
    "#C C unrolls the map on the bonnet of the jeep",
    "#C C assembles the tent poles at the campsite",
    "#C C scoops the sand into the bucket",
    "#C C casts the vote into the ballot box",
    "#C C steers the drone with the remote control",
    "#C C hands the baton to the next runner",
    "#C C vaccinates the calf in the barn",
    "#C C grooms the poodle on the table",
    "#C C plucks the strings of the harp",
    "#C C carves the pumpkin for the evening",
    "#C C wraps the mummy in the play",
    "#C C operates the crane of the harbour",
    "#C C dips the brush into the varnish of the cello",
    "#C C stacks the sandbags along the river",
    "#C C drives the forklift through the warehouse",
    "#C C catches the baseball with the glove",
    "#C C slides the key card into the hotel door",
    "#C C tests the parking sensor of the truck",
    "#C C hangs the stethoscope around the neck",
    "#C C arranges the roses in the wreath",
    "#C C shovels the coal into the locomotive",
    "#C C prints the tickets for the concert",
    "#C C turns the wheel of the sailing ship",
    "#C C kicks the ball into the net",
    "#C C cuts the ribbon at the opening",
    "#C C blows the whistle on the field",
    "#C C lets the kite rise over the dunes",
    "#C C stirs the paint for the theatre scenery",
    "#C C scrapes the barnacles off the hull",
    "#C C moves the mouse over the spreadsheet",
    "#C C adjusts the mirror of the motorcycle",
    "#C C points at the constellation in the sky",
    "#C C pours concrete into the foundation",
    "#C C presents the ring to the bride",
    "#C C pulls the trigger of the paintball gun",
    "#C C plays the drums on the stage",
    "#C C packs the snow into a ball",
    "#C C fits the prosthesis to the patient",
    "#C C loads the dishwasher of the restaurant",
    "#C C fills the tank at the petrol station",
    "#C C develops the photograph in the darkroom",
    "#C C raises the umbrella in the rain",
    "#C C shakes hands with the mayor",
    "#C C walks the dog along the canal",
    "#C C empties the mousetrap in the attic",
    "#C C rides the escalator of the station",
    "#C C sticks the poster on the billboard",
    "#C C rakes the gravel of the temple garden",
    "#C C sprays the graffiti on the wall",
    "#C C zips the wetsuit before the dive",
    "#C C opens the gate for the cattle",
    "#C C milks the goat in the shed",
    "#C C lifts the trophy over the head",
    "#C C mends the fishing net on the pier",
    "#C C plays the accordion in the square",
    "#C C tightens the bolts of the wind turbine",
    "#C C sets the alarm of the safe",
    "#C C prunes the bonsai with small scissors",
    "#C C copies the documents at the library",
    "#C C pins the medal on the uniform",
    "#C C takes the fingerprints of the suspect",
    "#C C lays the tracks of the toy train",
    "#C C wipes the lens of the projector",
    "#C C gives the injection to the child",
    "#C C turns the valve of the oil rig",
    "#C C swipes the card at the turnstile",
    "#C C sows the wheat on the field",
    "#C C bends the glass tube over the flame",
    "#C C scatters the confetti over the couple",
    "#C C trains the falcon with a lure",
    "#C C steps on the scale at the clinic",
    "#C C rolls the yoga mat on the lawn",
    "#C C swings the pickaxe in the mine",
    "#C C paints the lines of the car park",
    "#C C guides the blind man across the street",
    "#C C unloads the bananas from the ship",
    "#C C throws the javelin across the stadium",
    "#C C charges the electric car",
    "#C C changes the bulb of the street lamp",
    "#C C puts the saddle bags on the donkey",
    "#C C slices the turf for the stadium",
    "#C C reads the meter in the cellar",
    "#C C loads the cannon of the fortress",
    "#C C shows the passport at the border",
    "#C C feeds the coins into the jukebox",
    "#C C lifts the manhole cover of the sewer",
    "#C C hangs the hammock between the palms",
    "#C C digs up the dinosaur bone",
    "#C C aims the hose at the burning roof",
    "#C C presses the shutter of the speed camera",
    "#C C waxes the surfboard on the sand",
    "#C C wheels the wheelbarrow over the plank",
    "#C C spins the globe in the classroom",
    "#C C screws the nameplate onto the coffin",
    "#C C dances the tango in the ballroom",
    "#C C shoots the puck over the ice",
    "#C C zooms the radar on the bridge of the ship",
    "#C C braids the hair of the girl",
    "#C C pitches the hot air balloon into the wind",
    "#C C chases the goose around the pond",
    "#C C takes the seismograph out of the crate",
    "#C C waves the chequered flag at the finish",
    "#C C carries the totem through the village",
    "#C C sews the wound in the operating theatre",
    "#C C cranks the handle of the barrel organ",
    "#C C plants the mine detector in the grass",
    "#C C hauls the lobster pot over the gunwale",
    "#C C drops the parcel from the helicopter",
};
enum { BUILTIN = sizeof builtin / sizeof *builtin };

struct ego_unrelated {
    ego_calibration calibration;
    size_t n, dim;
    float *vectors; /* (n, dim) */
};

/* ---- the list ------------------------------------------------------------------------------------ */

typedef struct list {
    char **texts;
    size_t n;
} list;

static void release_list(list *l) {
    for (size_t i = 0; i < l->n; i++) free(l->texts[i]);
    free(l->texts);
    *l = (list){0};
}

static ego_err add_text(list *l, const char *text) {
    if (l->n == MOST)
        return ego_fail(EGO_EINPUT, "more than %d unrelated narrations", MOST);
    char *copy = strdup(text);
    if (!copy) return ego_fail(EGO_ENOMEM, "out of memory");
    l->texts[l->n++] = copy;
    return EGO_OK;
}

static ego_err read_list(const char *path, list *l) {
    ego_lines *lines;
    char *text;
    size_t bytes;
    EGO_TRY(ego_lines_open(path, LONGEST, -1, &lines));
    ego_err err;
    while ((err = ego_lines_next(lines, &text, &bytes)) == EGO_OK)
        if ((err = add_text(l, text)) != EGO_OK) break;
    if (err == EGO_EEND) err = EGO_OK;
    if (err != EGO_OK)
        err = ego_fail_context(err, "%s:%llu", path, (unsigned long long)ego_lines_number(lines));
    ego_lines_close(lines);
    return err;
}

static ego_err make_list(const char *path, list *l) {
    if (!(l->texts = calloc(MOST, sizeof *l->texts)))
        return ego_fail(EGO_ENOMEM, "out of memory");
    if (path && strcmp(path, "builtin") != 0) return read_list(path, l);
    for (size_t i = 0; i < BUILTIN; i++) EGO_TRY(add_text(l, builtin[i]));
    return EGO_OK;
}

/* The same narrations in the same order have the same name. */
static ego_err name_list(const list *l, char name[EGO_CALIBRATION_LIST]) {
    ego_sha256 *hash;
    char hex[65];
    EGO_TRY(ego_sha256_new(&hash));
    for (size_t i = 0; i < l->n; i++) ego_sha256_update(hash, l->texts[i], strlen(l->texts[i]) + 1);
    ego_sha256_finish(hash, hex);
    memcpy(name, hex, EGO_CALIBRATION_LIST - 1);
    name[EGO_CALIBRATION_LIST - 1] = '\0';
    return EGO_OK;
}

/* ---- its embeddings ------------------------------------------------------------------------------ */

static ego_err encode(const ego_model *model, const char *text, ego_tokens *tokens) {
    size_t most = (size_t)model->config.max_positions - 2;
    EGO_TRY(ego_bpe_encode(model->bpe, text, strlen(text), most, tokens));
    return ego_embed_check_tokens(model, tokens->ids, tokens->count);
}

static ego_err keep(ego_unrelated *u, size_t at, const ego_tensor *vector) {
    size_t dim = (size_t)ego_tensor_count(vector);
    if (!u->vectors) {
        u->dim = dim;
        u->vectors = malloc(u->n * dim * sizeof(float));
    }
    if (!u->vectors) return ego_fail(EGO_ENOMEM, "out of memory");
    memcpy(u->vectors + at * dim, ego_f32(vector), dim * sizeof(float));
    return EGO_OK;
}

static ego_err embed_some(ego_ctx *cx, ego_model *model, const ego_embed_options *o, const list *l,
                          size_t first, size_t n, ego_unrelated *u) {
    ego_embed_item items[BATCH] = {0};
    ego_tokens tokens[BATCH] = {0};
    ego_err err = EGO_OK;
    for (size_t i = 0; err == EGO_OK && i < n; i++) {
        err = encode(model, l->texts[first + i], &tokens[i]);
        items[i] = (ego_embed_item){.tokens = tokens[i].ids, .n_tokens = tokens[i].count};
    }
    if (err == EGO_OK) err = ego_embed(cx, model, o, items, n);
    for (size_t i = 0; i < n; i++) {
        if (err == EGO_OK) err = keep(u, first + i, &items[i].text);
        ego_embed_item_release(&items[i]);
        ego_tokens_release(&tokens[i]);
    }
    return err;
}

ego_err ego_unrelated_open(ego_ctx *cx, ego_model *model, ego_layer layer, const char *path,
                           ego_unrelated **out) {
    ego_err err = EGO_OK;
    list l = {0};
    char name[EGO_CALIBRATION_LIST];
    ego_embed_options o = {.layer = layer, .normalize = true};
    if (!model->bpe)
        return ego_fail(EGO_EINPUT, "unrelated narrations: the model has no tokenizer: give --tokenizer DIR");
    ego_unrelated *u = calloc(1, sizeof *u);
    if (!u) return ego_fail(EGO_ENOMEM, "out of memory");
    EGO_TRY_OUT(make_list(path, &l));
    if (l.n < LEAST) {
        err = ego_fail(EGO_EINPUT, "%s: expected at least %d unrelated narrations, found %zu", path, LEAST, l.n);
        goto out;
    }
    EGO_TRY_OUT(name_list(&l, name));
    u->n = l.n;
    EGO_TRY_OUT(ego_calibration_init(name, l.n, &u->calibration));
    for (size_t i = 0; i < l.n; i += BATCH)
        EGO_TRY_OUT(embed_some(cx, model, &o, &l, i, l.n - i < BATCH ? l.n - i : BATCH, u));
    *out = u;
    u = NULL;
out:
    release_list(&l);
    ego_unrelated_close(u);
    return err;
}

void ego_unrelated_close(ego_unrelated *u) {
    if (!u) return;
    ego_calibration_release(&u->calibration);
    free(u->vectors);
    free(u);
}

/* ---- what they find ------------------------------------------------------------------------------ */

ego_err ego_unrelated_meet(ego_unrelated *u, const ego_vector *clips, size_t n, size_t dim,
                           ego_pool *pool) {
    ego_match_options o = {.k = 1, .min_score = -2, .pool = pool};
    ego_match_result found;
    if (u->n == 0 || n == 0) return EGO_OK;
    if (dim != u->dim)
        return ego_fail(EGO_EINPUT, "unrelated narrations have %zu elements, the clips %zu: they are of "
                        "different models or layers", u->dim, dim);
    ego_vector *narrations = calloc(u->n, sizeof *narrations);
    if (!narrations) return ego_fail(EGO_ENOMEM, "out of memory");
    for (size_t i = 0; i < u->n; i++) narrations[i] = (ego_vector){u->vectors + i * dim, EGO_F32};
    ego_err err = ego_match(narrations, u->n, clips, n, dim, &o, &found);
    free(narrations);
    EGO_TRY(err);
    ego_calibration *c = &u->calibration;
    for (size_t i = 0; i < u->n; i++)
        if (found.n_hits[i] && found.hits[i * found.k].score > c->best[i])
            c->best[i] = found.hits[i * found.k].score;
    for (size_t i = 0; i < n; i++) c->clips += clips[i].data != NULL;
    ego_match_release(&found);
    return EGO_OK;
}

const ego_calibration *ego_unrelated_calibration(const ego_unrelated *u) { return &u->calibration; }
