"""What people say to an assistant that is no request for a file: greetings, thanks, questions about it, and what it may not do."""

# ruff: noqa: E501 - tables of phrases
from __future__ import annotations

import random

from builderbrain.train.goals.phrases import templates
from builderbrain.train.goals.skins import skin_folder, skin_path, skin_phrase
from builderbrain.train.names import PEOPLE

_OPENERS = {
    "greet": """hello;hi;hey;hello there;hi there;hey there;good morning;good afternoon;good evening;good day;morning;evening;yo;hiya;howdy;
        greetings;hello again;hi again;hey you;hello builder;hi builderbrain;hey builderbrain;hello assistant;nice to meet you;
        nice to see you;how are you;how are you doing;how is it going;how do you do;what's up;are you there;anyone there;
        welcome back;good to see you;hello, how are you;hi, how are you today;hey, what's up;hello my friend;pleased to meet you;hello to you;hi to you;hey hey;hello world;hi friend;a good morning to you;good morning to you;top of the morning;g'day;
        heya;hullo;salut;ahoy;evening all;morning all;hello my dear assistant;hi dear;long time no see;glad to be back;I am back;
        how do you feel;how have you been;how goes it;what is new;what is going on;you there;are you awake;can you hear me;is anybody home""",
    "thank": """thanks;thank you;thanks a lot;thank you very much;thank you so much;many thanks;cheers;thanks for the help;thanks for your help;
        thank you for that;much appreciated;I appreciate it;that helped, thanks;great, thanks;perfect, thank you;nice, thanks;
        good job;great job;well done;nice work;that was helpful;very helpful;thanks, that is all I needed;awesome, thank you;
        I am grateful;thanks a bunch;thanks again;you were a great help;that is exactly what I needed, thanks;brilliant, thanks;ty;tnx;thanx;thank you kindly;thanks so much;thanks heaps;thanks a million;thanks a ton;thanks mate;thanks friend;thank you friend;
        my thanks;with thanks;I thank you;I owe you;kind of you;that was kind;so kind of you;good work;good stuff;super, thanks;cool, thanks;
        lovely, thanks;ok thanks;okay, thank you;wonderful;fantastic work;excellent work;nicely done;you did well;you helped me;that did it;
        that was it, thanks;works now, thank you;solved, thanks""",
    "farewell": """bye;goodbye;bye bye;good bye;see you;see you later;see you tomorrow;see you soon;good night;that is all for today;
        that's all for now;I am done for today;I'm off;I have to go;I must go now;talk to you later;talk to you tomorrow;until next time;
        farewell;take care;so long;catch you later;later;have a good one;have a nice day;have a nice evening;signing off;
        time to go;I am leaving now;we are done here;until tomorrow;ciao;cya;bye for now;enough for today, bye;cu;see ya;see you around;see you next week;see you then;so long then;adieu;au revoir;cheerio;ta-ta;toodle-oo;good night then;
        sleep well;rest well;have a good night;have a good day;have a good weekend;have a nice weekend;I will be off;I shall go;I need to go;
        gotta go;got to go;going home now;heading out;heading home;logging off;I am logging out;closing this now;done for now;done for today;
        that will be all;that would be all for now;we can stop here;let us stop here;stop here for today;leaving now;over and out;peace out""",
    "identify": """who are you;what are you;what is your name;what's your name;who am I talking to;who is this;tell me about yourself;
        describe yourself;tell me who you are;are you a bot;are you a robot;are you human;are you an AI;are you a person;what kind of
        assistant are you;what should I call you;do you have a name;say who you are;what model are you;which model are you;
        who made you;what is builderbrain;what are you called;who exactly are you;what sort of program are you;who is there;who is speaking;who do I talk to;who did I reach;whom am I talking to;what is this;what is this thing;what is this bot;
        what program is this;what tool is this;which bot is this;which program are you;which one are you;what do they call you;what's this called;
        your name please;your name;name yourself;state your name;give me your name;tell me your name;say your name;are you an assistant;
        are you a program;are you a machine;are you a language model;are you real;are you some kind of bot;am I talking to a bot;
        am I speaking with a machine;is this a bot;is this an AI;is this a robot;is this BuilderBrain;who built you;who trained you;
        what are you made of;what kind of thing are you;what type of model are you;describe what you are""",
    "capabilities": """what can you do;what can you do for me;what are you able to do;how can you help me;how can you help;help;help me;
        what are your skills;what are your abilities;which tools do you have;what tools do you have;what commands do you know;
        which commands can I use;what can I ask you;what do you know how to do;what are you good at;what are you good for;
        list your skills;list your tools;list your abilities;tell me what you can do;show me what you can do;how do you work;
        how do I use you;what are my options;what else can you do;what do you do;which skills do you have;explain what you can do;
        what are you capable of;what is it you do;what things can you do;in what ways can you help;what can I do with you;what can I do here;what can you help with;what do you offer;what do you support;what services do you offer;
        what is it that you can do;what is possible;what is possible here;what are you for;what are you here for;what is your purpose;
        what is your job;what is your function;what are your functions;what are your features;what features do you have;what actions can you take;
        what actions do you know;which actions can you do;which features do you have;which things can you do;which requests do you take;
        which questions can I ask;what sort of questions can I ask;what kind of requests do you understand;what do you understand;
        what will you do for me;how could you be of use;how are you useful;how can I use you;how should I use you;how does this work;
        show help;show me help;give me help;I need help;help please;usage;show usage;show your commands;list what you can do;
        name your skills;name what you can do;say what you can do;explain yourself;explain how you work;tell me your skills;tell me your commands;
        tell me how to use you;give me a list of your skills;give me an overview of your abilities""",
}
_PLACED = ("identify", "capabilities")
_REFUSED_TOO = (" and let me know", " and report back", " and say when you are done", " and tell me how it went", " and show me the result",
                " and tell me what broke", " everywhere", " in all files", " and show it to me")  # fmt: skip
_ADDRESSED = ("all", "everyone", "everybody", "folks", "team", "mate", "buddy", "pal", "dude", "bot", "robot", "my friend", "old friend", "man",
              "guys", "sir", "dear", "stranger", "computer", "machine", "brain", "builder", "assistant", "helper", "chum", "fella")  # fmt: skip
_INTERJECTIONS = ("ok,", "okay,", "right,", "well,", "so,", "alright,", "good,", "great,", "oh,", "ah,", "hm,", "now,", "fine,", "yes,",
                  "hey,", "wow,", "actually,", "alright then,", "ok then,", "great stuff,", "super,", "by the way,")  # fmt: skip
_GREETED = ("greet", "thank", "farewell")

_REFUSED = """delete {f};remove {f};erase {f};wipe {f};rm {f};drop {f};delete the folder {d};remove the {d} directory;get rid of {f};
throw away {f};destroy {f};delete everything in {d};delete all files;remove all the tests;edit {f};change {f};modify {f};rewrite {f};
update {f};fix {f};fix the bug in {f};fix the {x};repair {f};patch {f};refactor {f};clean up {f};reformat {f};rename {f} to {g};
rename {f};move {f} to {d};move {f};copy {f} to {d};create {f};create a file called {f};make a new folder {d};make a new file;
write {f};write a test for {f};write a poem about {x};write a story;write me a song;add a line to {f};add {x} to {f};add a comment to {f};
append {x} to {f};replace {x} with {y};replace {x} in {f};insert {x} into {f};push to main;push the branch;push my changes;
commit this;commit {f};commit my changes;merge the branch;merge {x} into main;revert the last commit;tag a release;publish the package;
deploy to production;deploy {x};deploy the {x};ship it;release version 2;run {f};run the tests;run the tests in {d};run {x};
execute {f};execute {x};launch {x};start the server;stop the server;restart the {x};kill the process;install {x};pip install {x};
uninstall {x};upgrade {x};compile {f};build the project;build {x};train the model;download {x};upload {f};upload {f} to the cloud;
send {f} to {n};send an email to {n};email {n} about {x};mail {f} to {n};message {n};call {n};call my mother;buy {x};buy me a coffee;
order a pizza;order {x};pay the bill;transfer money to {n};book a flight;book a table for two;book a hotel;set an alarm;
set a reminder for {x};play some music;play a song;turn off the lights;turn on the {x};what's the weather;what is the weather like today;
how is the weather in Paris;tell me a joke;translate {f} into French;translate {x};draw a picture of {x};format the disk;format my disk;
shut down the machine;reboot;log in as root;give me root;chmod {f};sudo rm {d};encrypt {f};hack into the {x};drop the database;
truncate the {x} table;open a pull request;close the ticket;approve the pull request;assign it to {n};invite {n};post it to the forum;
generate an image;summarise the news;remember my name;tweet about {x};zip {d};unzip {f};sign {f};overwrite {f};lock {f};put {x} into {f};
make {f} shorter;make {f} read-only;make a copy of {f};make a backup of {f};back up {f};back up {d};restore {f};undo the change to {f};
discard the changes in {f};stash my changes;check out the branch {x};switch to the branch {x};rebase the branch;cherry-pick the fix;
squash the commits;amend the last commit;fetch from the remote;pull the latest changes;clone the repo;fork the repo;sync with upstream;
bump the version;change the version to 3;set the version of {x};turn {x} into {y};convert {f} to markdown;swap {x} for {y};
substitute {x} with {y};search for {x} and replace it with {y};find {x} and change it to {y};find {x} and delete it;fill in {f};
sort {f};shorten {f};split {f};join {f} and {g};comment out {x};uncomment {x};implement {x};implement the {x};write the {x};write code for {x};
write documentation for {x};document {x};generate {f};generate tests for {x};debug {f};debug the {x};profile {f};benchmark {x};
optimise {f};speed up {x};lint {f};format {f};test {f};test the {x};run all tests;run the build;run the linter;run {x} in {d};
start {x};stop {x};kill {x};restart the server;schedule {x};deploy it;roll back the deployment;open a ticket;open an issue about {x};
close the issue;comment on the issue;ping {n};ask {n} about {x};write to {n};write an email;reply to {n};forward it to {n};
phone {n};text {n};meet {n};order lunch;order a taxi;reserve a room;cancel my flight;buy tickets;sell {x};pay {n};send money;
wake me at seven;remind me to call {n};remind me of {x};tell me the time;what time is it;what day is it;what is the capital of France;
how old are you;how tall is the tower;calculate {x};what is two plus two;solve this equation;tell me a story;sing a song;
recommend a film;play chess with me;who won the match yesterday;browse the web for {x};search the web for {x};open the browser;
open the door;close the window;turn on the heating;water the plants;make coffee;take a picture;record a video;scan the network;
connect to the database;drop {x};empty {d};clear {d};clean {d};purge {d};wipe the disk;remove the folder {d};delete the directory {d};
delete {d};rm -rf {d};unlink {f};erase everything;destroy all data;change my password;give me the password;show me the secrets of {n};
grant me access;add {n} as admin;make me admin;chown {f};mount {d};reboot the server;update the system;upgrade everything;
patch the {x};fix the tests;fix everything;fix {x};solve the bug;rename {x} to {y};rename the folder {d};move {d} to {g};
copy {d};create the folder {d};create {x};add a test to {f};add {x};add a function to {f};add a line;insert a line into {f}"""

CONVERSATION = {intent: templates(text) for intent, text in _OPENERS.items()} | {"refuse": templates(_REFUSED)}


def say(intent: str, rng: random.Random) -> str:
    """One utterance of a conversational intent."""
    text = rng.choice(CONVERSATION[intent])
    if intent in _PLACED and rng.random() < 0.15:
        text += rng.choice((" here", " in this repo", " with this code base", " for this project", " with my files"))
    if intent == "refuse":
        if rng.random() < 0.2:
            text += rng.choice(_REFUSED_TOO) if rng.random() < 0.5 else f" and {rng.choice(CONVERSATION[intent])}"
        for slot, make in (
            ("{f}", skin_path),
            ("{g}", skin_path),
            ("{d}", skin_folder),
            ("{x}", skin_phrase),
            ("{y}", skin_phrase),
        ):
            text = text.replace(slot, make(rng))
        return text.replace("{n}", rng.choice(PEOPLE))
    if rng.random() < 0.2:
        text += rng.choice((", ", ". ", "! ", " and ", ", ")) + rng.choice(CONVERSATION[intent])
    if intent in _GREETED and rng.random() < 0.25:
        text = f"{text} {rng.choice(PEOPLE) if rng.random() < 0.5 else rng.choice(_ADDRESSED)}"
    if intent != "greet" and rng.random() < 0.12:
        text = f"{rng.choice(_INTERJECTIONS)} {text}"
    return text
