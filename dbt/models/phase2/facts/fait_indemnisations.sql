select
    evenements.evenement_id as indemnisation_id,
    evenements.attribution_id,
    attributions.zone_id,
    attributions.entreprise_id,
    evenements.survenu_le as demandee_le,
    {{ year_of('evenements.survenu_le') }} as annee,
    {{ month_of('evenements.survenu_le') }} as mois,
    evenements.payee_le,
    evenements.payee_le is not null as est_payee,
    evenements.montant,
    evenements.exportee_le
from {{ ref('stg_sig__evenements') }} as evenements
left join {{ ref('stg_sig__attributions') }} as attributions on evenements.attribution_id = attributions.attribution_id
where evenements.nature = 'indemnisation'
