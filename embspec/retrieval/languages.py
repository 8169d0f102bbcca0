"""Languages: the words of each that say nothing of a text's subject, and which language a corpus is in.

English are the 33 stop words of Lucene, which published scores of BM25 stand on. The others hold the closed classes of
a grammar (articles, pronouns, prepositions, conjunctions, particles, auxiliary verbs), as Snowball's lists do, but
not in every inflection: those lists are longer by up to a hundred rarer forms. Words of one letter are left out,
because `words` reads none. Lucene's list is too short to tell English by, so English has a second one for that alone.
"""
from __future__ import annotations

from collections.abc import Mapping
from functools import cache

NONE = "none"  # a corpus in no language of this file: no stop words, no stems
# Percent of a corpus that a language's own small words must be. Running text of a language has 16 and more, longer text
# of some that are not here (Czech, Polish, Croatian, Hungarian) at most 7.5, a table of part numbers none. Near
# relatives and a few sentences of Polish have more: docs/decisions/010-words.md names those that are to be written.
LEAST = 8

_PARTS = 27720  # a word that n languages have counts 1/n for each: whole numbers, so that no order of adding shows

STOP_WORDS: Mapping[str, str] = {
    "english": """
        a an and are as at be but by for if in into is it no not of on or such that the their then there these they
        this to was will with""",
    "german": """
        der die das den dem des ein eine einem einen einer eines kein keine keinem keinen keiner keines
        ich du er sie es wir ihr mich mir dich dir ihn ihm uns euch ihnen ihrer sich man wer wen wem wessen was
        mein meine meinem meinen meiner meines dein deine deinem deinen deiner deines sein seine seinem seinen seiner
        seines ihre ihrem ihren ihres unser unsere unserem unseren unserer unseres euer eure eurem euren eurer eures
        dieser diese diesem diesen dieses dies jener jene jenem jenen jenes jeder jede jedem jeden jedes
        welcher welche welchem welchen welches mancher manche manchem manchen manches solcher solche solchem solchen
        solches alle allem allen aller alles andere anderem anderen anderer anderes anders einige einigem einigen
        einiger einiges derselbe dieselbe dasselbe derselben demselben denselben desselben selbst
        und oder aber denn sondern weil wenn als ob dass daß damit indem bevor nachdem während obwohl sowie sowohl
        wie wo wann warum auch nur noch nicht nichts so sehr dann da dazu hier dort hin etwas einmal also doch jetzt
        nun schon zwar
        in im ins an am ans auf aus bei beim bis durch für gegen hinter mit nach ohne über um unter von vom vor zu zum
        zur zwischen
        bin bist ist sind seid war warst waren wart gewesen habe hast hat haben habt hatte hattest hatten
        werde wirst wird werden werdet wurde wurden worden würde würden kann kannst können könnte könnten muss
        musste müssen darf dürfen soll sollen sollte sollten will wollen wollte wollten""",
    "french": """
        le la les un une des du de au aux ce cet cette ces cela ceci
        je tu il elle on nous vous ils elles me te se moi toi soi lui leur leurs eux en qui que quoi dont où qu
        mon ma mes ton ta tes son sa ses notre nos votre vos quel quelle quels quelles lequel laquelle lesquels
        lesquelles
        et ou mais donc or ni car si comme lorsque quand puisque parce afin
        dans par pour sur avec sans sous entre vers chez depuis pendant après avant contre jusqu
        ne pas plus moins même mêmes aussi très tout tous toute toutes aucun aucune autre autres ainsi alors encore
        ici là lors
        être suis es est sommes êtes sont étais était étions étiez étaient été étant serai seras sera serons serez
        seront serais serait seraient soit soient sois soyons soyez fut furent fût
        avoir ai as avons avez ont avais avait avions aviez avaient eu ayant aurai auras aura aurons aurez auront
        aurais aurait auraient ait aient aie ayons ayez peut peuvent doit doivent""",
    "spanish": """
        el la los las un una unos unas lo al del
        yo tú él ella ello usted ustedes nosotros nosotras vosotros vosotras ellos ellas me te se nos os le les mí ti sí
        mi mis tu tus su sus nuestro nuestra nuestros nuestras vuestro vuestra vuestros vuestras mío mía míos mías
        tuyo tuya suyo suya suyos suyas
        este esta esto estos estas ese esa eso esos esas aquel aquella aquello aquellos aquellas
        que qué quien quién quienes cual cuál cuales cuyo cuya cuando cuándo donde dónde como cómo cuanto
        pero sino porque pues si aunque mientras ni
        ante bajo con contra de desde durante en entre hacia hasta para por según sin sobre tras
        no nada más menos muy mucho mucha muchos muchas poco pocos también tanto ya todo toda todos todas otro otra
        otros otras algo algún alguno alguna algunos algunas antes después así
        ser soy eres es somos sois son era eras éramos eran fui fue fuimos fueron fuera fueran sea sean será serán
        sería serían sido siendo
        estar estoy estás está estamos estáis están estaba estaban estuvo estuvieron esté estén estado
        haber he has ha hemos habéis han había habían hubo haya hayan habrá habría habido hay
        tener tengo tiene tienen tenía tenían puede pueden debe deben""",
    "italian": """
        il lo la gli le un uno una al allo alla ai agli alle all del dello della dei degli delle dell dal dallo dalla
        dai dagli dalle dall nel nello nella nei negli nelle nell sul sullo sulla sui sugli sulle sull col coi
        io tu egli lui lei noi voi essi esse loro mi ti si ci vi li ne
        mio mia miei mie tuo tua tuoi tue suo sua suoi sue nostro nostra nostri nostre vostro vostra vostri vostre
        questo questa questi queste quello quella quelli quelle quell ciò chi che cui quale quali quanto quanta quanti
        quante come dove quando perché perchè
        ed od ma se anche né nè però quindi mentre oppure
        di da in con su per tra fra contro senza dopo prima durante verso presso
        non più meno molto molti molta molte poco tutto tutta tutti tutte altro altra altri altre così ancora già
        essere sono sei siamo siete era erano ero eravamo fu furono sia siano sarà saranno sarebbe sarebbero stato
        stata stati state essendo
        avere ho hai ha abbiamo avete hanno aveva avevano avevo ebbe abbia abbiano avrà avranno avrebbe avuto avendo
        può possono deve devono""",
    "dutch": """
        de het een der den des ten ter
        ik jij je hij zij ze wij we jullie mij me jou hem haar hen hun ons zich zichzelf iets niets niemand iemand
        mijn jouw zijn onze uw deze dit die dat wie wat welk welke hoe waar wanneer waarom er hier daar
        en of maar want dus omdat als dan toen terwijl hoewel indien zodat toch noch
        aan achter bij binnen boven buiten door in langs met na naar naast om onder op over per sinds te tegen tot
        tussen uit van vanaf via volgens voor zonder
        niet geen ook al nog nu reeds alleen alles alle andere ander veel meer meest zo zeer zelf doen
        ben bent is was waren wees geweest heb hebt heeft hebben had hadden gehad word wordt worden werd werden geworden
        kan kunnen kon konden moet moeten mag mogen zal zullen zou zouden wil willen""",
    "portuguese": """
        os as um uma uns umas ao aos às do da dos das no na nos nas dum duma num numa pelo pela pelos pelas
        eu tu ele ela nós vós eles elas você vocês me te se lhe lhes vos mim ti si
        meu minha meus minhas teu tua teus tuas seu sua seus suas dele dela deles delas nosso nossa nossos nossas
        este esta estes estas esse essa esses essas isto isso aquele aquela aqueles aquelas aquilo
        neste nesta nesse nessa deste desta desse dessa
        que quem qual quais quando onde como quanto cujo cuja
        mas ou nem porque pois embora enquanto porém
        de em para por com sem sob sobre entre até desde após contra perante
        não mais menos muito muita muitos muitas pouco também só já ainda mesmo todo toda todos todas outro outra
        outros outras algum alguma alguns algumas cada depois antes
        ser sou és somos são era eram fui foi fomos foram fosse fossem seja sejam será serão seria seriam sido sendo
        estar estou está estamos estão estava estavam esteve estiveram esteja estejam
        ter tenho tem temos têm tinha tinham teve tiveram tenha tenham terá terão teria tido
        haver há houve havia haja pode podem deve devem""",
    "swedish": """
        en ett den det de dem
        jag du han hon vi ni man mig dig honom henne oss er sig min mitt mina din ditt dina sin sitt sina hans hennes
        vår vårt våra ert era deras dess denna denne detta dessa vem vilka vilken vilket vad vars där här när hur varför
        och eller men att som om för därför eftersom medan samt utan än
        på av till från med vid hos under över mellan efter före genom mot inom utom kring bland åt ut upp ur
        inte icke ej ingen inget inga någon något några alla allt mycket sådan sådant sådana själv även också så då nu
        bara mer mest
        är var vara varit vore blir bli blev bliva blivit har ha hade haft kan kunde kunnat ska skall skulle vill ville
        måste får fick""",
    "danish": """
        en et den det de dem der som
        jeg du han hun vi man mig dig ham hende os jer sig min mit mine din dit dine sin sit sine hans hendes vores
        deres dets dens denne dette disse hvem hvilken hvilket hvilke hvad hvis hvor hvornår hvordan hvorfor her
        og eller men at om for fordi mens samt uden end når da så
        på af til fra med ved hos under over mellem efter før gennem mod inden omkring blandt ad ud op
        ikke ingen intet noget nogen nogle alle alt meget mange sådan selv også nu kun mere mest anden andet andre jo
        er var være været bliver blive blev blevet har have havde haft kan kunne skal skulle vil ville må måtte får
        fik""",
    "norwegian": """
        en et ei den det de dem der som
        jeg eg du han hun ho vi dere man meg deg ham henne oss seg min mitt mine mi din ditt dine di sin sitt sine si
        hans hennes vår vårt våre deres dets denne dette disse hvem hvilken hvilket hvilke hva kva hvis hvor kvar
        hvordan korleis hvorfor her
        og eller men at om for fordi mens samt uten enn når da så
        på av til fra frå med ved hos under over mellom etter før gjennom mot innen omkring blant ut opp
        ikke ikkje ingen intet noe noko noen nokon alle alt mye mange slik selv også òg nå no bare berre mer meir mest
        annen annet andre
        er var være vere vært vore blir bli ble blei blitt har ha hadde hatt kan kunne skal skulle vil ville må måtte
        får fikk""",
    "finnish": """
        minä sinä hän me te he minun minua minut minulla minulle sinun sinua sinut hänen häntä hänet hänellä hänelle
        meidän meitä meillä meille teidän teitä heidän heitä heillä heille itse
        se ne tämä tämän tätä tässä tästä tähän tällä tälle nämä näiden näitä näissä tuo tuon tuota nuo
        sen sitä siinä siitä siihen sillä sille niiden niitä niissä niistä niihin niillä niille
        joka jonka jota jossa josta johon jolla jolle jotka joiden joita joissa joista mikä minkä mitä missä mistä mihin
        mitkä kuka kenen ketä ketkä
        ja tai vai eli sekä mutta vaan että jotta koska jos kun kuin vaikka joten niin
        ei en et emme ette eivät älä
        olla olen olet on olemme olette ovat oli olin olivat ollut olleet olisi olisivat ole voi voivat pitää
        kanssa mukaan ilman ennen jälkeen yli alle kautta varten välillä myös vain jo nyt sitten kaikki kaikkien
        toinen muu muut muita""",
    "russian": """
        ты он она оно мы вы они меня тебя его её ее нас вас их мне тебе ему ей нам вам им мной тобой нами вами ими
        него неё нее ней нём нем них ним ними себя себе собой
        мой моя моё мое мои твой твоя свой своя своё свое свои своих своего своей свою наш наша наше наши ваш ваша ваше
        ваши
        этот эта это эти этого этой этому этом этим этих эту тот та то те того той тому том тем тех ту такой такая
        такое такие сам сама само сами весь вся всё все всего всей всех всем всю
        кто что кого чего кому чему чем ком который которая которое которые которого которой которых которым какой
        какая какие где когда куда как зачем почему сколько
        но или либо да если чтобы чтоб хотя потому поэтому так также тоже лишь только ли же бы ни не нет ведь вот
        во на со ко об обо от ото до из за по под над при про для без через между перед после около среди
        уже ещё еще даже там тут здесь тогда теперь потом очень более больше можно надо нельзя
        быть был была было были будет будут есть может могут""",
}
LANGUAGES = tuple(STOP_WORDS)
# The same classes in English, as far as Lucene leaves them in. English is recognised by them too, and they are kept:
# without them a list of questions ("How do I reset my password?") is Portuguese, which has "do", "me", "as" and "no".
HEARD = """
    you he she we me him us them my your his her our its mine yours hers ours theirs myself yourself itself themselves
    those someone something anyone anything everyone everything nothing
    do does did doing done have has had having am were been being can cannot could should would may might must shall
    what which who whom whose how when where why
    from about than up out off over under between through during before after until without within against across
    onto upon since per via
    some any all both each every either neither other another more most many much few several same own
    also so too very just only again here now ever never always because while although though unless whether yet
    nor doesn didn isn aren wasn"""


@cache
def stop_words(language: str) -> frozenset[str]:
    """The words of a language that a search by words leaves out."""
    return frozenset(STOP_WORDS[language].split()) if language != NONE else frozenset()


def found(counts: Mapping[str, int]) -> str:
    """The language whose small words are most of the words counted, the first of equals; none where they are few.

    A word that several languages have is shared out among them, so that long lists and near relatives win nothing.
    """
    scores = dict.fromkeys(LANGUAGES, 0)
    for word, languages in _spoken().items():
        for language in languages if word in counts else ():
            scores[language] += counts[word] * (_PARTS // len(languages))
    best = max(LANGUAGES, key=lambda language: scores[language])
    total = sum(counts.values()) * _PARTS
    return best if total and 100 * scores[best] >= LEAST * total else NONE


@cache
def _spoken() -> Mapping[str, tuple[str, ...]]:
    """The languages that each word speaks for: its stop words, and what else English is heard by."""
    lists = {language: stop_words(language) for language in LANGUAGES}
    lists["english"] |= frozenset(HEARD.split())
    words = sorted(frozenset().union(*lists.values()))
    return {word: tuple(language for language in LANGUAGES if word in lists[language]) for word in words}
