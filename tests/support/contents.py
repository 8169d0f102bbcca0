"""Texts as people write them: in many languages, and such that plain words cannot tell apart."""
from __future__ import annotations

from typing import NamedTuple


class Content(NamedTuple):
    """Some documents, the tokenizer that suits them, and questions with the document that answers each."""

    suited: str
    documents: dict[str, str]
    asked: dict[str, str]


CODE = Content("identifiers", {
    "client.py": "class HttpClient:\n    def parseHTTPResponse(self, raw):\n        return raw.split('\\r\\n')\n",
    "cache.py": "def invalidate_user_cache(user_id: int) -> None:\n    redis.delete(f'user:{user_id}')\n",
    "parser.cs": "public JsonNode ParseConfigFile(string path) { return JsonNode.Load(File.ReadAllText(path)); }",
    "retry.go": "func retryWithBackoff(ctx context.Context, maxAttempts int) error { return nil }",
    "errors.md": "ERR_CONN_404: the host is known and does not answer on this port. Check the firewall.",
    "errors2.md": "ERR_AUTH_403: the token is known and does not have the role. Ask for it.",
    "windows.md": "Error 0x80070005 means access denied: run the installer as administrator.",
    "windows2.md": "Error 0x80070002 means file not found: run the installer again.",
    "oracle.md": "ORA-00942: table or view does not exist.",
    "oracle2.md": "ORA-01017: invalid username or password; logon denied. The table or view does exist.",
    "vector.cc": "std::vector<int> sortedUnique(std::vector<int> values) { return dedup(values); }",
}, {
    "parse http response": "client.py",
    "invalidate cache": "cache.py",
    "parse a config": "parser.cs",
    "retry with backoff": "retry.go",
    "conn 404": "errors.md",
    "ERR-AUTH-403": "errors2.md",
    "hresult 80070005": "windows.md",
    "sorted unique": "vector.cc",
})
PARTS = Content("identifiers", {
    "a": "Spare seal AB-1234-W for the inlet valve",
    "b": "Spare seal AB-1234-X for the inlet valve",
    "c": "Spare seal AB-1243-X for the inlet valve",
    "d": "CPU module 6ES7 212-1AE40-0XB0 with relay outputs",
    "e": "CPU module 6ES7 214-1AG40-0XB0 with relay outputs",
    "f": "Pressure sensor PX-100B, M12 plug",
    "g": "Pressure sensor PX-200B, M12 plug",
    "h": "Firmware v2.1.4 for the pressure sensors",
    "i": "Firmware v2.1.3 for the pressure sensors",
}, {
    "AB-1234-X": "b",
    "px 200 b": "g",
    "cpu 1AG": "e",
    "px200b": "g",
    "px 200": "g",
    "firmware 2.1.3": "i",
})
JAPANESE = Content("char_bigrams", {
    "filter": "フィルターを交換する前に、両方のバルブを閉めて圧力が下がるまで待ちます。",
    "return": "商品の返品は到着後三十日以内に限り受け付けます。送料はお客様のご負担です。",
    "invoice": "請求書は毎月末に締め、翌月十日までに電子メールで送付します。",
    "password": "パスワードを忘れた場合は、ログイン画面の再設定リンクを押してください。",
    "battery": "ﾊﾞｯﾃﾘｰの残量が少なくなると、本体の赤いﾗﾝﾌﾟが点滅します。",
    "model": "型番ＰＸ－２００の取扱説明書は、サポートページから入手できます。",
}, {
    "フィルター交換": "filter",
    "返品できる期限は到着後何日ですか": "return",
    "請求書の送付": "invoice",
    "パスワードの再設定": "password",
    "バッテリー残量": "battery",
    "PX-200の説明書": "model",
})
CHINESE = Content("char_bigrams", {
    "filter": "更换滤芯之前，请先关闭两个阀门并等待压力下降。",
    "return": "商品签收后三十天内可以申请退货，运费由买家承担。",
    "invoice": "发票将在每月底统一开具，并通过电子邮件发送。",
}, {"怎样更换滤芯": "filter", "退货运费": "return", "开具发票": "invoice"})
KOREAN = Content("char_bigrams", {
    "filter": "필터를교체하기 전에 두 밸브를 모두 잠그고 압력이 내려갈 때까지 기다리십시오.",
    "return": "상품은 수령 후 삼십일 이내에만 반품할 수 있습니다.",
    "invoice": "청구서는 매월 말일에 마감하여 이메일로 발송합니다.",
}, {"필터 교체": "filter", "반품 기한": "return", "청구서 발송": "invoice"})
CONTENTS = {"code": CODE, "parts": PARTS, "japanese": JAPANESE, "chinese": CHINESE, "korean": KOREAN}

# The same three sentences in each language that has stop words.
TEXTS = {
    "english": (
        "Before you replace the filter, close both valves and wait until the pressure has gone. The new "
        "filter goes in with its arrow towards the tank. If it is not tight, the pump will run dry."
    ),
    "german": (
        "Bevor Sie den Filter wechseln, schließen Sie beide Ventile und warten, bis kein Druck mehr anliegt. "
        "Der neue Filter wird mit dem Pfeil zum Tank eingesetzt. Ist er undicht, läuft die Pumpe trocken."
    ),
    "french": (
        "Avant de remplacer le filtre, fermez les deux vannes et attendez que la pression soit tombée. Le "
        "nouveau filtre se monte avec la flèche vers le réservoir. S'il n'est pas étanche, la pompe tourne à "
        "sec."
    ),
    "spanish": (
        "Antes de cambiar el filtro, cierre las dos válvulas y espere a que baje la presión. El filtro nuevo "
        "se monta con la flecha hacia el depósito. Si no queda hermético, la bomba funciona en seco."
    ),
    "italian": (
        "Prima di sostituire il filtro, chiudere le due valvole e attendere che la pressione sia scesa. Il "
        "nuovo filtro va montato con la freccia verso il serbatoio. Se non è stagno, la pompa gira a secco."
    ),
    "dutch": (
        "Voordat u het filter vervangt, sluit u beide kranen en wacht u tot de druk weg is. Het nieuwe filter "
        "gaat met de pijl naar de tank toe erin. Als het niet dicht is, loopt de pomp droog."
    ),
    "portuguese": (
        "Antes de trocar o filtro, feche as duas válvulas e espere que a pressão desça. O filtro novo é "
        "montado com a seta para o depósito. Se não ficar vedado, a bomba trabalha em seco."
    ),
    "swedish": (
        "Innan du byter filtret stänger du båda ventilerna och väntar tills trycket är borta. Det nya filtret "
        "sätts in med pilen mot tanken. Om det inte är tätt går pumpen torr."
    ),
    "danish": (
        "Før du skifter filteret, lukker du begge ventiler og venter, til trykket er væk. Det nye filter "
        "sættes i med pilen mod tanken. Hvis det ikke er tæt, løber pumpen tør, og så bliver den ødelagt af "
        "varmen."
    ),
    "norwegian": (
        "Før du bytter filteret, lukker du begge ventilene og venter til trykket er borte. Det nye filteret "
        "settes inn med pilen mot tanken. Hvis det ikke er tett, går pumpen tørr, og da blir den ødelagt av "
        "varmen."
    ),
    "finnish": (
        "Ennen kuin vaihdat suodattimen, sulje molemmat venttiilit ja odota, että paine on poissa. Uusi "
        "suodatin asennetaan niin, että nuoli on säiliöön päin. Jos se ei ole tiivis, pumppu käy kuivana."
    ),
    "russian": (
        "Перед тем как заменить фильтр, закройте оба клапана и подождите, пока не спадёт давление. Новый "
        "фильтр ставят стрелкой к баку. Если он не плотный, насос работает всухую."
    ),
}
NOT_ONE = {
    "japanese": "フィルターを交換する前に、両方のバルブを閉めて圧力が下がるまで待ちます。",
    "chinese": "更换滤芯之前，请关闭两个阀门，等待压力下降。新滤芯的箭头应朝向水箱。",
    "polish": (
        "Przed wymianą filtra zamknij oba zawory i odczekaj, aż spadnie ciśnienie. Jeśli jest nieszczelny, "
        "przecieka."
    ),
    "part numbers": "AB-1234-X 6ES7 214-1AG40-0XB0 PX-200B 24 VDC 1.5 A IP67 M12 RAL7035 DN50 PN16",
    "nothing": "",
    "czech": (
        "Než vyměníte filtr, zavřete oba ventily a počkejte, až klesne tlak. Nový filtr se montuje šipkou k "
        "nádrži. Pokud není těsný, čerpadlo běží na sucho a může se poškodit. Do nádrže se nesmí dostat "
        "nečistoty."
    ),
}
